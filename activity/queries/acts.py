"""What one enrollment did on a few local days, summed per day, verb and item."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Max

from activity.models import DailyActivity, Event, Item

# A platform that sends each click with an item of its own would otherwise fill the page.
MOST_LINES = 500

_ACTS = """
SELECT width_bucket(event.occurred_at, %(midnights)s::timestamptz[]) - 1, event.verb, event.item_id,
    sum(event.count), min(event.occurred_at), max(event.occurred_at), max(event.score),
    bool_or(event.passed)
FROM activity_event AS event
WHERE event.enrollment_id = %(enrollment)s AND event.occurred_at >= %(since)s
    AND event.occurred_at < %(until)s
GROUP BY 1, 2, 3
ORDER BY max(event.occurred_at) DESC
LIMIT %(most)s
"""


@dataclass(frozen=True)
class DayActs:
    """The events of one verb and item on one day; `place` is the place of the day's midnight.

    `score` is the best one. Item and its parent are loaded.
    """

    place: int
    verb: str
    item: Item | None
    count: int
    first_at: datetime
    last_at: datetime
    score: Decimal | None
    passed: bool | None


def acts_on(enrollment_id: int, midnights: Sequence[datetime], *, until: datetime) -> list[DayActs]:
    """Return the events of the days that begin at the midnights, the latest first. Two queries."""
    values: dict[str, Any] = {
        "enrollment": enrollment_id,
        "midnights": list(midnights),
        "since": midnights[0],
        "until": until,
        "most": MOST_LINES,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ACTS, values)
        rows = cursor.fetchall()
    wanted = {row[2] for row in rows if row[2] is not None}
    items = Item.objects.select_related("parent").in_bulk(wanted)
    return [DayActs(row[0], row[1], items.get(row[2]), *row[3:]) for row in rows]


def last_event_before(enrollment_id: int, instant: datetime) -> datetime | None:
    """Return when the last event before the instant occurred. One query."""
    before = Event.objects.filter(enrollment=enrollment_id, occurred_at__lt=instant)
    return before.order_by("-occurred_at").values_list("occurred_at", flat=True).first()


def last_act(enrollment_id: int) -> datetime | None:
    """Return when the learner last did something in the course. One query.

    `last_event_at` is no answer: the messages that Nudgelab sends are events too.
    """
    days = DailyActivity.objects.filter(enrollment=enrollment_id)
    last: datetime | None = days.aggregate(at=Max("last_act_at"))["at"]
    return last
