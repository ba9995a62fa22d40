"""Progress: an enrollment's progress in each item and module. Pure."""

from activity.read_models.columns import ATTEMPT, IS_ACT, added, earliest, latest, merge, total

PROGRESS_KEY = ("enrollment_id", "item_id")
PROGRESS_COLUMNS = (
    *PROGRESS_KEY,
    "first_touched_at",
    "last_touched_at",
    "attempts",
    "last_attempt_at",
    "best_score",
    "last_score",
    "last_scored_at",
    "first_passed_at",
    "first_completed_at",
)


# An act counts twice here: fully for its item, and only as a touch for the item's module. The pair
# (instant, score) is compared as one array. So of two scores at the same instant the higher one is
# the last score, in any order of arrival.
_PROGRESS = f"""
SELECT
    event.enrollment_id,
    target.item_id,
    min(event.occurred_at) AS first_touched_at,
    max(event.occurred_at) AS last_touched_at,
    {total(f"target.own AND {ATTEMPT}", "attempts")},
    max(event.occurred_at) FILTER (WHERE target.own AND {ATTEMPT}) AS last_attempt_at,
    max(event.score) FILTER (WHERE target.own) AS best_score,
    (max(ARRAY[extract(epoch FROM event.occurred_at), event.score])
        FILTER (WHERE target.own AND event.score IS NOT NULL))[2]::numeric(7, 6) AS last_score,
    max(event.occurred_at) FILTER (WHERE target.own AND event.score IS NOT NULL) AS last_scored_at,
    min(event.occurred_at) FILTER (WHERE target.own AND event.passed) AS first_passed_at,
    min(event.occurred_at) FILTER (WHERE target.own AND event.verb = CASE item.kind
        WHEN 'quiz' THEN 'ATTEMPT_QUIZ'
        WHEN 'assignment' THEN 'SUBMIT_ASSIGNMENT'
        WHEN 'module' THEN 'COMPLETE_MODULE'
        ELSE 'COMPLETE_ITEM' END) AS first_completed_at
FROM {{events}} AS event
JOIN activity_item AS item ON item.id = event.item_id
CROSS JOIN LATERAL (VALUES (item.id, true), (item.parent_id, false)) AS target (item_id, own)
WHERE {IS_ACT} AND target.item_id IS NOT NULL
GROUP BY 1, 2
"""  # noqa: S608

_LAST_SCORE = """last_score = CASE
    WHEN kept.last_scored_at IS NULL OR excluded.last_scored_at > kept.last_scored_at
        THEN excluded.last_score
    WHEN excluded.last_scored_at = kept.last_scored_at
        THEN GREATEST(kept.last_score, excluded.last_score)
    ELSE kept.last_score END"""

# LEAST and GREATEST ignore nulls, so a null on one side changes nothing. The two columns of the
# last score change together, ordered by instant and then by score.
_MERGE_PROGRESS = merge(
    "activity_progress",
    PROGRESS_COLUMNS,
    PROGRESS_KEY,
    (
        earliest("first_touched_at"),
        latest("last_touched_at"),
        added("attempts"),
        latest("last_attempt_at"),
        latest("best_score"),
        _LAST_SCORE,
        latest("last_scored_at"),
        earliest("first_passed_at"),
        earliest("first_completed_at"),
    ),
)


def progress_select(events: str) -> str:
    """Return the SELECT of PROGRESS_COLUMNS over a relation with the columns of activity_event."""
    return _PROGRESS.format(events=events)


def merge_progress(events: str) -> str:
    """Return the statement that merges a relation of new events into Progress."""
    return _MERGE_PROGRESS.format(select=progress_select(events))
