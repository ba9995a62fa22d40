"""Keep which activities somebody had completed, and meet the new meaning of signals as an edit."""

from django.db import migrations, models

# Norms are computed again when they are asked for; those of before lack the new column.
FORGET_NORMS = "DELETE FROM segmentation_norms"

# A segment whose signals mean something else from this release on is met by the next evaluation as
# an edited one: who moves because of it starts no run and is not drawn.
MEET_AS_EDITED = r"""
WITH concerned AS (
    SELECT id, playbook_id FROM segmentation_segment
    WHERE status IN ('active', 'frozen') AND concat(rule, leave_rule) ~
        '"(activities_completed_rate|quiz_attempt_rate|modules_open|pace_percentile)"'
), revision AS (
    UPDATE segmentation_rulesrevision SET number = number + 1
    WHERE EXISTS (SELECT FROM concerned)
    RETURNING number
), segment AS (
    UPDATE segmentation_segment SET changed_revision = revision.number, include_present = false
    FROM revision WHERE id IN (SELECT id FROM concerned)
)
UPDATE segmentation_playbook SET changed_revision = revision.number
FROM revision WHERE id IN (SELECT playbook_id FROM concerned)
"""


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0004_late_cause")]

    operations = [
        migrations.RunSQL(FORGET_NORMS, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="norms",
            name="completed_items",
            field=models.JSONField(default=list),
        ),
        migrations.RunSQL(MEET_AS_EDITED, migrations.RunSQL.noop),
    ]
