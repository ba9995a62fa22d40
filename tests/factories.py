"""Plain functions that make the objects of the activity app, and a small cast of learners.

Every function saves what it returns. Whatever is not named gets a value that fits the course,
which runs from 2025-09-01 to 2025-10-26 in London, over a clock change on its last night.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from activity.models import Course, Due, Enrollment, Event, Feed, FeedHold, Item, Learner
from activity.operations import ingest
from common.clock import local_midnight

STARTS_ON = date(2025, 9, 1)
ENDS_ON = date(2025, 10, 26)
NOW = datetime(2025, 9, 30, 12, 0, tzinfo=UTC)

_numbers = count(1)


def make_course(**fields: Any) -> Course:
    """Return a course that began a month before NOW."""
    number = next(_numbers)
    values = {
        "key": f"course-{number}",
        "title": f"Course {number}",
        "time_zone": "Europe/London",
        "starts_on": STARTS_ON,
        "ends_on": ENDS_ON,
        "pass_mark": "0.5",
    }
    return _saved(Course(**{**values, **fields}))


def make_item(course: Course, kind: str = "page", **fields: Any) -> Item:
    """Return an item of the course; `parent` names its module."""
    number = next(_numbers)
    values = {"key": f"{kind}-{number}", "title": f"{kind.title()} {number}", "position": number}
    return _saved(Item(course=course, kind=kind, **{**values, **fields}))


def make_learner(**fields: Any) -> Learner:
    """Return a learner with an address of their own."""
    number = next(_numbers)
    values = {
        "external_id": f"learner-{number}",
        "email": f"learner-{number}@example.org",
        "name": f"Learner {number}",
    }
    return _saved(Learner(**{**values, **fields}))


def make_enrollment(
    course: Course | None = None,
    learner: Learner | None = None,
    *,
    due_at: datetime | None = NOW,
    **fields: Any,
) -> Enrollment:
    """Return an enrollment since the course's first midnight, with its Due row at `due_at`."""
    course = course or make_course()
    fields.setdefault("enrolled_at", local_midnight(course.starts_on, course.time_zone))
    enrollment = _saved(Enrollment(course=course, learner=learner or make_learner(), **fields))
    Due.objects.create(enrollment=enrollment, due_at=due_at)
    return enrollment


def make_event(enrollment: Enrollment, verb: str = "LOGIN", **fields: Any) -> dict[str, Any]:
    """Return a canonical event dict, one hour before NOW, that nobody has ingested yet.

    `item` may be an Item or a key. Every call gives another source_id.
    """
    values = {
        "course": enrollment.course.key,
        "learner": enrollment.learner.external_id,
        "verb": verb,
        "occurred_at": NOW - timedelta(hours=1),
        "source": "test",
        "source_id": f"event-{next(_numbers)}",
    }
    item = fields.get("item")
    if isinstance(item, Item):
        fields["item"] = item.key
    return {**values, **fields}


def act(enrollment: Enrollment, verb: str = "LOGIN", **fields: Any) -> Event:
    """Ingest one event and return its row. It is received the instant it occurred."""
    event = make_event(enrollment, verb, **fields)
    result = ingest([event], now=event["occurred_at"])
    assert result.stored == 1, result.rejected
    return Event.objects.get(source=event["source"], source_id=event["source_id"])


def all_act(enrollments: Iterable[Enrollment], verb: str, *, at: datetime, **fields: Any) -> None:
    """Ingest one event of each at this instant, as one batch, which takes a tenth of the time."""
    events = [make_event(each, verb, occurred_at=at, **fields) for each in enrollments]
    result = ingest(events, now=at)
    assert result.stored == len(events), result.rejected


def hold_feed(course: Course, *, since: datetime) -> None:
    """Record that no event of the course has come since the instant, so that its messages wait."""
    numbers = {"seen": 0, "usual": 900, "hours": 24}
    Feed.objects.create(
        course=course, state="silent", since=since, numbers=numbers, measured_at=since
    )
    Course.objects.filter(pk=course.pk).update(feed_held_since=since)
    FeedHold.objects.create(course=course, since=since, noted_at=since)


@dataclass(frozen=True)
class Cast:
    """Three learners in a course of two modules, each with a video and a quiz."""

    course: Course
    modules: tuple[Item, Item]
    videos: tuple[Item, Item]
    quizzes: tuple[Item, Item]
    ana: Enrollment
    bo: Enrollment
    cy: Enrollment

    @property
    def everybody(self) -> Mapping[str, Enrollment]:
        """Return the enrollments by name."""
        return {"ana": self.ana, "bo": self.bo, "cy": self.cy}


def make_cast(**course_fields: Any) -> Cast:
    """Return Ana, who finished, Bo, who stalled in the first module, and Cy, who never started."""
    course = make_course(**course_fields)
    modules = (_module(course, 1), _module(course, 2))
    cast = Cast(
        course=course,
        modules=modules,
        videos=tuple(make_item(course, "video", parent=module) for module in modules),
        quizzes=tuple(_quiz(course, module) for module in modules),
        ana=_member(course, "Ana"),
        bo=_member(course, "Bo"),
        cy=_member(course, "Cy"),
    )
    _play(cast)
    return cast


def _play(cast: Cast) -> None:
    noon = datetime(2025, 9, 8, 12, 0, tzinfo=UTC)
    for week, (module, video, quiz) in enumerate(
        zip(cast.modules, cast.videos, cast.quizzes, strict=True)
    ):
        day = noon + timedelta(days=7 * week)
        act(cast.ana, "PLAY_VIDEO", item=video, occurred_at=day)
        act(cast.ana, "ATTEMPT_QUIZ", item=quiz, score=0.9, occurred_at=day + timedelta(hours=1))
        act(cast.ana, "COMPLETE_MODULE", item=module, occurred_at=day + timedelta(hours=2))
    act(cast.bo, "PLAY_VIDEO", item=cast.videos[0], occurred_at=noon)


def _module(course: Course, number: int) -> Item:
    first = course.starts_on + timedelta(days=7 * (number - 1))
    return make_item(
        course,
        "module",
        key=f"module-{number}",
        title=f"Module {number}",
        assigned_on=first,
        due_on=first + timedelta(days=13),
    )


def _quiz(course: Course, module: Item) -> Item:
    return make_item(
        course, "quiz", parent=module, assigned_on=module.assigned_on, due_on=module.due_on
    )


def _member(course: Course, name: str) -> Enrollment:
    learner = make_learner(name=name, email=f"{name.lower()}-{next(_numbers)}@example.org")
    return make_enrollment(course, learner)


def _saved(row: Any) -> Any:
    row.save()
    return row
