"""Store the activities that somebody had completed, and treat new definitions of signals as edits."""

from django.db import migrations, models

# Norms are computed again when they are needed, because stored ones lack the new column.
FORGET_NORMS = "DELETE FROM segmentation_norms"

# The next evaluation treats a segment as edited if the definition of its signals has changed. The
# resulting transitions start no run and draw no arm.
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
