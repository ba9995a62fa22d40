"""Find learners by any word of the name, regardless of accents, without reading the table."""

from django.db import migrations


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("activity", "0017_past_changes")]

    operations = [
        # activity.queries.learners.NameWords is the same expression: the planner compares them.
        # The extensions unaccent and pg_trgm do not come with the server under var/.
        migrations.RunSQL(
            r"""
            CREATE INDEX CONCURRENTLY learner_by_words ON activity_learner USING gin (
                to_tsvector(
                    'simple'::regconfig,
                    regexp_replace(
                        regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g'),
                        '[!-/:-@[-`{-~\u00a1-\u00bf\u2000-\u206f]+', ' ', 'g'
                    )
                )
            )
            """,
            "DROP INDEX learner_by_words",
        ),
    ]
