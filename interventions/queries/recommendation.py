"""The next thing for a learner: from the course's content mapping, else the open module."""

# Every value is bound; only constants are put into the text.
# ruff: noqa: S608

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.module_loading import import_string

from common.database import as_array, is_outage, preparing_cursor
from common.tally import note
from interventions.render.context import NextItem

log = logging.getLogger(__name__)

# A learner is at the open module touched last, else at the first open module in the course's order.
# "Open" is as in the signal modules_open: until two weeks after the due day. For a row `asked`.
HERE = """
SELECT item.id, COALESCE(NULLIF(item.title, ''), item.key) AS title, item.topic,
    item.estimated_minutes, item.url, progress.last_touched_at
FROM activity_item AS item
LEFT JOIN activity_progress AS progress
    ON progress.item_id = item.id AND progress.enrollment_id = asked.enrollment_id
WHERE item.course_id = asked.course_id AND item.kind = 'module'
    AND progress.first_completed_at IS NULL
    AND (item.assigned_on IS NULL OR item.assigned_on <= asked.day)
    AND (item.due_on IS NULL OR item.due_on >= asked.day - 14)
ORDER BY progress.last_touched_at DESC NULLS LAST, item.position, item.id LIMIT 1
"""

# If the module has no estimated minutes or URL, those of its first open item are used. Platforms
# export 0 minutes where nobody has estimated them.
#
# Of the mapping, the closest row counts: first by segment, then by module, then by topic. An item
# that the learner has completed or attempted is passed over, and so is one to come.
_RECOMMEND = f"""
SELECT asked.place, found.*
FROM unnest(%(places)s::int[], %(enrollments)s::bigint[], %(courses)s::bigint[],
    %(segments)s::bigint[], %(days)s::date[])
    AS asked (place, enrollment_id, course_id, segment_id, day)
CROSS JOIN LATERAL (
    WITH assigned AS (
        SELECT item.id, item.parent_id, item.position, item.url,
            NULLIF(item.estimated_minutes, 0) AS estimated_minutes,
            item.topic, COALESCE(NULLIF(item.title, ''), item.key) AS title,
            progress.first_completed_at IS NULL AS is_open,
            progress.first_completed_at IS NULL AND COALESCE(progress.attempts, 0) = 0 AS is_new
        FROM activity_item AS item
        LEFT JOIN activity_progress AS progress
            ON progress.item_id = item.id AND progress.enrollment_id = asked.enrollment_id
        WHERE item.course_id = asked.course_id
            AND (item.assigned_on IS NULL OR item.assigned_on <= asked.day)
    ), here AS (
        SELECT module.id, module.title, module.topic, module.last_touched_at,
            COALESCE(NULLIF(module.estimated_minutes, 0), first.estimated_minutes) AS minutes,
            COALESCE(NULLIF(module.url, ''), first.url, '') AS url
        FROM ({HERE}) AS module
        LEFT JOIN LATERAL (
            SELECT estimated_minutes, url FROM assigned AS child
            WHERE child.parent_id = module.id AND child.is_open
            ORDER BY child.position, child.id LIMIT 1
        ) AS first ON true
    ), mapped AS (
        SELECT COALESCE(NULLIF(mapping.title, ''), item.title) AS title,
            COALESCE(NULLIF(mapping.minutes, 0), item.estimated_minutes) AS minutes,
            COALESCE(NULLIF(mapping.url, ''), item.url, '') AS url,
            CASE WHEN mapping.module_id IS NOT NULL THEN here.title ELSE mapping.topic END AS place
        FROM interventions_contentmapping AS mapping
        LEFT JOIN here ON true
        LEFT JOIN assigned AS item ON item.id = mapping.item_id
        WHERE mapping.course_id = asked.course_id
            AND (mapping.segment_id IS NULL OR mapping.segment_id = asked.segment_id)
            AND (
                mapping.module_id IS NULL AND mapping.topic = ''
                OR mapping.module_id = here.id
                OR mapping.topic <> '' AND (
                    mapping.topic = here.topic OR EXISTS (
                        SELECT FROM assigned AS child
                        WHERE child.parent_id = here.id AND child.is_open
                            AND child.topic = mapping.topic
                    )
                )
            )
            AND (mapping.item_id IS NULL OR item.is_new)
        ORDER BY mapping.segment_id IS NULL, mapping.module_id IS NULL, mapping.topic = '',
            mapping.id
        LIMIT 1
    )
    SELECT title, minutes, url, 'mapped' AS source, place FROM mapped
    UNION ALL
    SELECT title, minutes, url, CASE WHEN last_touched_at IS NULL THEN 'first' ELSE 'last' END, ''
    FROM here WHERE NOT EXISTS (SELECT FROM mapped)
) AS found
"""

# Clauses that follow "because". Learners may read them, so they name no segment.
_WHY = {
    "last": "it was opened last and is not completed",
    "first": "it is the first open module",
}


@dataclass(frozen=True)
class Ask:
    """A question for the next thing of an enrollment, as a member of a segment, on a local day."""

    enrollment_id: int
    course_id: int
    segment_id: int | None
    day: date


Answers = Mapping[Ask, NextItem | None]
Recommender = Callable[..., Answers]


def recommend(asks: Sequence[Ask], *, now: datetime) -> Answers:
    """Return the next thing by question. None: there is nothing. One query.

    With the setting RECOMMENDER, its function is asked first. Where it answers nothing or fails,
    the mapping and the open module answer.
    """
    learned = _learned(asks, now)
    answered = {ask: learned[ask] for ask in asks if learned.get(ask) is not None}
    return answered | _by_mapping([ask for ask in asks if ask not in answered])


def check_recommender() -> None:
    """Raise ImproperlyConfigured with a sentence if the setting RECOMMENDER names no function."""
    path = settings.RECOMMENDER
    try:
        found = import_string(path) if path else recommend
    except ImportError as error:
        raise ImproperlyConfigured(
            f"RECOMMENDER is '{path}', which cannot be imported: {error}. Write the path of a "
            "function, such as our_models.recommend, or leave it empty."
        ) from None
    if not callable(found):
        raise ImproperlyConfigured(f"RECOMMENDER is '{path}', which is no function.")


def _learned(asks: Sequence[Ask], now: datetime) -> Answers:
    """Return what the learned recommender answers. An error means no answers, and is noted."""
    if not settings.RECOMMENDER or not asks:
        return {}
    recommender: Recommender = import_string(settings.RECOMMENDER)
    try:
        # Under a savepoint, because a failed statement would end the caller's transaction.
        with transaction.atomic():
            answers = {ask: _checked(answer) for ask, answer in recommender(asks, now=now).items()}
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("The recommender %s failed", settings.RECOMMENDER)
        note("recommendations failed", type(error).__name__)
        return {}
    return answers


def _checked(answer: object) -> NextItem | None:
    if answer is None or isinstance(answer, NextItem):
        return answer
    raise TypeError(f"A recommendation is a NextItem or None, not {type(answer).__name__}.")


def _by_mapping(asks: Sequence[Ask]) -> dict[Ask, NextItem | None]:
    found: dict[Ask, NextItem | None] = dict.fromkeys(asks)
    if not asks:
        return found
    values: dict[str, Any] = {
        "places": as_array(range(len(asks))),
        "enrollments": as_array(ask.enrollment_id for ask in asks),
        "courses": as_array(ask.course_id for ask in asks),
        "segments": as_array(ask.segment_id for ask in asks),
        "days": [ask.day for ask in asks],
    }
    with preparing_cursor() as cursor:
        cursor.execute(_RECOMMEND, values)
        for place, title, minutes, url, source, where in cursor.fetchall():
            found[asks[place]] = NextItem(title, minutes, url, _why(source, where))
    return found


def _why(source: str, where: str) -> str:
    if source in _WHY:
        return _WHY[source]
    return f"the course recommends it with {where}" if where else "the course recommends it"
