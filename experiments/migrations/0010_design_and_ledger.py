"""Designs of draws, strata, draws of sections, exclusion layers and the ledger."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

import experiments.models.layers


class Migration(migrations.Migration):
    dependencies = [
        ("activity", "0023_feeds"),
        ("experiments", "0009_find_first_draws"),
        ("segmentation", "0013_archive"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExclusionLayer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.SlugField(max_length=100, unique=True)),
                ("name", models.CharField(max_length=200)),
                (
                    "seed",
                    models.CharField(
                        default=experiments.models.layers.random_seed,
                        editable=False,
                        help_text="It decides which part of the layer a learner belongs to.",
                        max_length=100,
                    ),
                ),
            ],
            options={
                "verbose_name": "exclusion layer",
                "ordering": ("key",),
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("protocol", "the protocol, as it was locked"),
                            ("draws", "draws"),
                            ("deviation", "a change after the start"),
                            ("snapshot", "the numbers of a report"),
                        ],
                        max_length=9,
                    ),
                ),
                ("content", models.TextField()),
                ("previous_sha256", models.CharField(blank=True, max_length=64)),
                ("sha256", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "ordering": ("experiment_id", "position"),
            },
        ),
        migrations.CreateModel(
            name="SectionDraw",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        help_text="The keys of course and section at the draw, which decide the bucket.",
                        max_length=210,
                    ),
                ),
                (
                    "position",
                    models.PositiveIntegerField(help_text="The number of the draw in its stratum."),
                ),
                (
                    "bucket",
                    models.PositiveSmallIntegerField(
                        help_text="The hash of seed and unit key, from 0 to 9999."
                    ),
                ),
                (
                    "size",
                    models.PositiveIntegerField(
                        help_text="The learners in the section at the draw."
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Stratum",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=500)),
                ("drawn", models.PositiveIntegerField(default=0)),
                ("block", models.PositiveIntegerField(default=0)),
                ("offset", models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                "verbose_name_plural": "strata",
                "ordering": ("experiment_id", "key"),
            },
        ),
        migrations.RemoveConstraint(
            model_name="experiment",
            name="experiment_status_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="experiment",
            name="experiment_stopped_has_an_end",
        ),
        migrations.RemoveConstraint(
            model_name="experiment",
            name="experiment_started_has_a_protocol",
        ),
        migrations.AddField(
            model_name="assignment",
            name="layer_unit",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="assignment",
            name="position",
            field=models.PositiveIntegerField(
                blank=True, help_text="The number of the draw in its stratum.", null=True
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="afterwards",
            field=models.CharField(
                choices=[
                    ("keep", "everybody keeps their arm"),
                    ("one_arm", "everybody gets one arm"),
                    ("winner", "the control gets the winner"),
                ],
                db_default="keep",
                default="keep",
                help_text="The report always compares the arms as they were drawn.",
                max_length=7,
                verbose_name="after the end",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="afterwards_arm",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The key of the arm, if everybody gets one arm after the end.",
                max_length=50,
                verbose_name="the arm for everybody",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="archived_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="experiment",
            name="block_sizes",
            field=models.CharField(
                choices=[
                    ("varying", "varying, so that nobody can guess the next arm"),
                    ("smallest", "as small as possible"),
                    ("double", "twice as large"),
                ],
                db_default="varying",
                default="varying",
                help_text="For balanced blocks, and for sections that come after the start.",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="checked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="experiment",
            name="ended_because",
            field=models.CharField(
                blank=True,
                choices=[
                    ("staff", "somebody stopped it"),
                    ("date", "its end date has come"),
                    ("learners", "it has its number of learners"),
                ],
                db_default="",
                default="",
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="ends_at",
            field=models.DateTimeField(
                blank=True,
                help_text="Nobody is drawn from then on. Leave it empty to stop the experiment yourself.",
                null=True,
                verbose_name="end date",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="excludes_reached",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Learners to whom any message was sent before the draw do not take part.",
                verbose_name="leave out learners who were already reached",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="layer_end",
            field=models.DecimalField(
                blank=True, decimal_places=4, max_digits=5, null=True, verbose_name="to"
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="layer_start",
            field=models.DecimalField(
                blank=True,
                decimal_places=4,
                help_text="The part of the layer's learners, as shares: from 0 to 0.5 is its first half.",
                max_digits=5,
                null=True,
                verbose_name="from",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="most_learners",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="The draw of the last one ends the experiment.",
                null=True,
                verbose_name="end with this many learners",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="most_sections",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Further sections are not drawn, but learners still join the drawn ones.",
                null=True,
                verbose_name="end with this many sections",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="section_rule",
            field=models.CharField(
                choices=[
                    ("keep", "they keep their arm"),
                    ("follow", "they get the arm of their new section"),
                    ("exclude", "they get no more messages of the experiment"),
                ],
                db_default="keep",
                default="keep",
                help_text="Only where whole sections are drawn.",
                max_length=7,
                verbose_name="learners who change section or sit in two",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="strata",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="For balanced blocks: up to four lines, such as “course”, “trait region”, “trait studied_credits in 3 parts” or “active_days 7 in 2 parts”. The arms are balanced among learners who are alike in all of them. The parts of a number are fixed at the start. Learners without a value are balanced among themselves.",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="winner",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=50
            ),
        ),
        migrations.AlterField(
            model_name="experiment",
            name="method",
            field=models.CharField(
                choices=[
                    ("hash", "each one by chance"),
                    ("blocks", "in balanced blocks"),
                    ("cluster", "whole sections, balanced by size"),
                ],
                default="hash",
                help_text="Balanced blocks keep the arms of a small course equally large, also within each stratum. Draw whole sections if learners of one class would see each other's messages.",
                max_length=12,
                verbose_name="how they are drawn",
            ),
        ),
        migrations.AlterField(
            model_name="experiment",
            name="status",
            field=models.CharField(
                choices=[
                    ("draft", "draft: not started"),
                    ("checked", "checked: not started"),
                    ("running", "running"),
                    ("stopped", "stopped: no more learners are drawn"),
                    ("archived", "archived: over and put away"),
                ],
                default="draft",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="experiment",
            name="unit",
            field=models.CharField(
                choices=[
                    ("enrollment", "each learner"),
                    ("section", "each section: its learners share an arm"),
                ],
                default="enrollment",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="exclusionlayer",
            constraint=models.UniqueConstraint(
                fields=("seed",),
                name="exclusion_layer_seed_once",
                violation_error_message="Another layer has this seed, so both would divide the learners alike.",
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="layer",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="A learner is in one experiment of a layer at most, over all courses. Leave it empty if the experiment may share its learners with any other.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="experiments",
                to="experiments.exclusionlayer",
                verbose_name="exclusion layer",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["draft", "checked", "running", "stopped", "archived"])
                ),
                name="experiment_status_is_known",
                violation_error_message="The status must be one of these: draft, checked, running, stopped, archived.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["draft", "checked"]),
                    models.Q(
                        ("started_at__isnull", False), models.Q(("protocol", ""), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="experiment_started_has_a_protocol",
                violation_error_message="Use the start action, which locks the protocol.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status__in", ["stopped", "archived"]), _negated=True),
                    ("stopped_at__isnull", False),
                    _connector="OR",
                ),
                name="experiment_stopped_has_an_end",
                violation_error_message="Stop the experiment with its stop action, which records the time.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(("ended_because__in", ["", "staff", "date", "learners"])),
                name="experiment_ending_is_known",
                violation_error_message="The reason for the end is one of these: staff, date, learners.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("method", "cluster"), ("unit", "section")),
                    models.Q(
                        models.Q(("method", "cluster"), _negated=True),
                        models.Q(("unit", "section"), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="experiment_sections_are_drawn_whole",
                violation_error_message="Whole sections need the method that draws sections.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("layer__isnull", True),
                        ("layer_end__isnull", True),
                        ("layer_start__isnull", True),
                    ),
                    models.Q(
                        ("layer__isnull", False),
                        ("layer_end__isnull", False),
                        ("layer_end__lte", 1),
                        ("layer_start__gte", 0),
                        ("layer_start__isnull", False),
                        ("layer_start__lt", models.F("layer_end")),
                    ),
                    _connector="OR",
                ),
                name="experiment_layer_has_a_range",
                violation_error_message="Choose a layer and a range in it, such as 0 to 0.5, or neither.",
            ),
        ),
        migrations.AddConstraint(
            model_name="experiment",
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(
                condition=models.Q(
                    ("layer__isnull", False), models.Q(("status", "archived"), _negated=True)
                ),
                expressions=[
                    (
                        models.Func(
                            models.ExpressionWrapper(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("layer"), "+", models.F("layer_start")
                                ),
                                output_field=models.DecimalField(decimal_places=4, max_digits=25),
                            ),
                            models.ExpressionWrapper(
                                django.db.models.expressions.CombinedExpression(
                                    models.F("layer"), "+", models.F("layer_end")
                                ),
                                output_field=models.DecimalField(decimal_places=4, max_digits=25),
                            ),
                            function="numrange",
                            output_field=django.contrib.postgres.fields.ranges.DecimalRangeField(),
                        ),
                        "&&",
                    )
                ],
                name="experiment_layer_ranges_are_disjoint",
                violation_error_message="Another experiment of the layer has a part of this range. Choose a range that is still free.",
            ),
        ),
        migrations.AddField(
            model_name="ledgerentry",
            name="experiment",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="ledger",
                to="experiments.experiment",
            ),
        ),
        migrations.AddField(
            model_name="assignment",
            name="entry",
            field=models.ForeignKey(
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="experiments.ledgerentry",
            ),
        ),
        migrations.AddField(
            model_name="sectiondraw",
            name="arm",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="section_draws",
                to="experiments.arm",
            ),
        ),
        migrations.AddField(
            model_name="sectiondraw",
            name="entry",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="experiments.ledgerentry",
            ),
        ),
        migrations.AddField(
            model_name="sectiondraw",
            name="experiment",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="section_draws",
                to="experiments.experiment",
            ),
        ),
        migrations.AddField(
            model_name="sectiondraw",
            name="section",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="draws",
                to="activity.section",
            ),
        ),
        migrations.AddField(
            model_name="assignment",
            name="section_draw",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assignments",
                to="experiments.sectiondraw",
            ),
        ),
        migrations.AddField(
            model_name="stratum",
            name="experiment",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="drawn_strata",
                to="experiments.experiment",
            ),
        ),
        migrations.AddField(
            model_name="sectiondraw",
            name="stratum",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="section_draws",
                to="experiments.stratum",
            ),
        ),
        migrations.AddField(
            model_name="assignment",
            name="stratum",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assignments",
                to="experiments.stratum",
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("position__isnull", True), ("stratum__isnull", True)),
                    models.Q(("position__isnull", False), ("stratum__isnull", False)),
                    _connector="OR",
                ),
                name="assignment_stratum_has_a_position",
                violation_error_message="A draw in blocks has both a stratum and a position.",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.UniqueConstraint(
                fields=("experiment", "position"),
                name="ledger_entry_position_once",
                violation_error_message="The ledger already has an entry with this number.",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["protocol", "draws", "deviation", "snapshot"])),
                name="ledger_entry_kind_is_known",
                violation_error_message="The kind of an entry is one of these: protocol, draws, deviation, snapshot.",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgerentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("position", 0), ("previous_sha256", "")),
                    models.Q(("position__gt", 0), models.Q(("previous_sha256", ""), _negated=True)),
                    _connector="OR",
                ),
                name="ledger_entry_is_chained",
                violation_error_message="Every entry but the first names the digest before it.",
            ),
        ),
        migrations.AddConstraint(
            model_name="stratum",
            constraint=models.UniqueConstraint(
                fields=("experiment", "key"),
                name="stratum_once",
                violation_error_message="The experiment already has this stratum.",
            ),
        ),
        migrations.AddConstraint(
            model_name="sectiondraw",
            constraint=models.UniqueConstraint(
                fields=("experiment", "section"),
                name="section_draw_once",
                violation_error_message="The section already has an arm in this experiment.",
            ),
        ),
        migrations.AddConstraint(
            model_name="sectiondraw",
            constraint=models.UniqueConstraint(
                fields=("stratum", "position"),
                name="section_draw_position_once",
                violation_error_message="Another section has this position in the stratum.",
            ),
        ),
        migrations.AddConstraint(
            model_name="sectiondraw",
            constraint=models.CheckConstraint(
                condition=models.Q(("bucket__gte", 0), ("bucket__lte", 9999)),
                name="section_draw_bucket_in_range",
                violation_error_message="The bucket of a section is a whole number from 0 to 9999.",
            ),
        ),
    ]
