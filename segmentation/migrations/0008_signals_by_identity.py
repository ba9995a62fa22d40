"""Store the signals of memberships under their identity: JSON instead of a column name."""

import json

from django.db import migrations

# The signals of earlier releases, and whether they had a window.
_WITH_WINDOW = (
    "active_days",
    "assignments_started",
    "content_views",
    "downloads",
    "logins",
    "modules_stalled",
    "quiz_attempt_rate",
    "quiz_attempts",
    "quiz_attempts_change",
    "video_plays",
)
_WITH_WINDOW_OR_ALL = (
    "activities_completed_rate",
    "average_score",
    "modules_completed",
    "quiz_pass_rate",
)
_WITHOUT_WINDOW = (
    "activities_overdue",
    "completion_rate",
    "days_since_activity",
    "days_since_completion",
    "days_since_quiz_attempt",
    "modules_open",
    "pace_percentile",
)

# Empty rows are not changed, nor rows whose names are all identities already.
_RENAME = """
UPDATE segmentation_membership AS member SET signals = (
    SELECT jsonb_object_agg(coalesce(%(identities)s::jsonb ->> kept.key, kept.key), kept.value)
    FROM jsonb_each(member.signals) AS kept
)
WHERE member.signals ?| ARRAY(SELECT jsonb_object_keys(%(identities)s::jsonb))
"""


def identity(column: str) -> str | None:
    """Return the identity of the signal with this column name, or None."""
    if column.startswith("trait_"):
        return _canonical(field="trait", key=column.removeprefix("trait_"))
    if column in _WITHOUT_WINDOW:
        return _canonical(field=column)
    name, _, window = column.rpartition("_")
    if window == "all" and name in _WITH_WINDOW_OR_ALL:
        return _canonical(field=name)
    if window.isdecimal() and name in _WITH_WINDOW + _WITH_WINDOW_OR_ALL:
        return _canonical(field=name, window=int(window))
    return None


def rename_signals(apps, schema_editor):
    """Rename the stored signals of all memberships in one statement. Unknown names are kept."""
    del apps
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT jsonb_object_keys(signals) FROM segmentation_membership")
        renamed = {column: identity(column) for (column,) in cursor.fetchall()}
        known = {column: name for column, name in renamed.items() if name is not None}
        cursor.execute(_RENAME, {"identities": json.dumps(known)})


def _canonical(**shape):
    return json.dumps(shape, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class Migration(migrations.Migration):
    dependencies = [("segmentation", "0007_surges")]

    # The reverse migration keeps the new names. An earlier release shows them unchanged.
    operations = [migrations.RunPython(rename_signals, migrations.RunPython.noop)]
