"""A playbook in words: its rules, sources, messages, sizes, evidence and warnings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import combinations
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q

from activity.access import viewable
from activity.models import Course
from activity.texts import lower_first
from common.clock import begin_of_days
from experiments.models import Experiment, ExperimentStatus
from experiments.stats.power import POWER, needed_for_means
from interventions.models import Cadence, CadenceStatus, Step
from interventions.policy.durations import delay_in_words
from segmentation.models import Playbook, PlaybookMode, Segment, SegmentStatus
from segmentation.queries import courses_of_playbook
from segmentation.queries.separation import Separation, separation_of
from segmentation.rules import RuleError, conditions, in_english, parse
from segmentation.signals import Signal

Staff = User | AnonymousUser
KEPT = (SegmentStatus.ACTIVE, SegmentStatus.FROZEN)
MOST_COURSES = 20
DAYS = 28
# Above it two segments say nearly the same.
MOST_ALIKE = 0.8
# Above it so many entries end within two days that messages come too late.
MOST_FLAPS = 0.3
MOST_SEGMENTS = 5
SMALL_EFFECT = 0.1


@dataclass(frozen=True)
class SegmentSection:
    """A segment in words. `sizes` are members by course title.

    `receives` and `experiments` are None for a viewer who may not see cadences or experiments: an
    empty list would say that there are none.
    """

    segment: Segment
    rule: str
    leave_rule: str
    receives: list[str] | None
    experiments: list[Experiment] | None
    sizes: list[tuple[str, int]]
    warnings: list[str]


@dataclass(frozen=True)
class PlaybookDocument:
    """All that the document says. `warnings` and `experiments` are of the playbook as a whole."""

    playbook: Playbook
    courses: list[Course]
    mode: str
    signals: list[Signal]
    sections: list[SegmentSection]
    experiments: list[Experiment]
    warnings: list[str]


def playbook_document(
    playbook: Playbook, apart: dict[Course, Separation], *, viewer: Staff
) -> PlaybookDocument:
    """Return the document. Five queries.

    `apart` is the result of `separations_of`. For a course that is not in it, the document has no
    sizes and no warnings that need them.
    """
    courses = shown_courses(playbook, viewer=viewer)
    segments = list(_segments(playbook))
    cadences = _cadences(segments, viewer)
    experiments = _experiments(playbook, viewer)
    sections = [
        SegmentSection(
            segment=segment,
            rule=in_english(segment.rule),
            leave_rule=lower_first(in_english(segment.leave_rule)) if segment.leave_rule else "",
            receives=None if cadences is None else _receives(cadences, segment),
            experiments=None if experiments is None else experiments.get(segment.pk, []),
            sizes=[(course.title, each.size(segment.pk)) for course, each in apart.items()],
            warnings=list(_warnings(segment, apart, cadences)),
        )
        for segment in segments
    ]
    return PlaybookDocument(
        playbook=playbook,
        courses=courses,
        mode=PlaybookMode(playbook.mode).label,
        signals=_signals(segments),
        sections=sections,
        experiments=(experiments or {}).get(None, []),
        warnings=list(_whole(segments, apart)),
    )


def shown_courses(playbook: Playbook, *, viewer: Staff) -> list[Course]:
    """Return the courses that the document names. One query."""
    return list(courses_of_playbook(playbook.pk, viewer=viewer)[:MOST_COURSES])


def _segments(playbook: Playbook) -> Iterator[Segment]:
    kept = playbook.segments.exclude(status=SegmentStatus.ARCHIVED)
    yield from kept.select_related("playbook").order_by("priority", "key")


def separations_of(
    playbook: Playbook, courses: Sequence[Course], *, now: datetime
) -> dict[Course, Separation]:
    """Return how the segments differ in each course. One query, and two per course."""
    ids = [segment.pk for segment in _segments(playbook) if segment.status in KEPT]
    return {course: _separation(ids, course, now) for course in courses}


def _separation(ids: Sequence[int], course: Course, now: datetime) -> Separation:
    as_of = course.clock_stopped_at or now
    since = begin_of_days(DAYS, as_of=as_of, zone=course.time_zone)
    return separation_of(ids, course, since=since, as_of=as_of)


def _cadences(segments: Sequence[Segment], viewer: Staff) -> dict[int, list[Cadence]] | None:
    """Return the active cadences by segment, None if the viewer may see none."""
    if not viewer.has_perm("interventions.view_cadence"):
        return None
    seen = viewable(Cadence.objects.filter(segment__in=segments), viewer)
    active = seen.filter(status=CadenceStatus.ACTIVE).select_related("arm")
    found = active.prefetch_related("steps__template").order_by("priority", "key")
    return _by_segment(found)


def _experiments(playbook: Playbook, viewer: Staff) -> dict[int | None, list[Experiment]] | None:
    """Return the started experiments by segment, those on the whole playbook under None."""
    if not viewer.has_perm("experiments.view_experiment"):
        return None
    of = Q(playbook=playbook) | Q(segment__playbook=playbook)
    seen = viewable(Experiment.objects.filter(of), viewer)
    return _by_segment(seen.exclude(status=ExperimentStatus.DRAFT).order_by("-started_at", "key"))


def _by_segment(rows: Iterable[Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(row.segment_id, []).append(row)
    return found


def _signals(segments: Sequence[Segment]) -> list[Signal]:
    found: dict[str, Signal] = {}
    for segment in segments:
        for shape in filter(None, (segment.rule, segment.leave_rule)):
            try:
                rule = parse(shape)
            except RuleError:
                continue
            found |= {each.ref.signal.name: each.ref.signal for each in conditions(rule)}
    return sorted(found.values(), key=lambda signal: signal.label)


def _receives(cadences: dict[int, list[Cadence]], segment: Segment) -> list[str]:
    return [_received(each) for each in cadences.get(segment.pk, ())]


def _received(cadence: Cadence) -> str:
    steps = "; ".join(_step(step) for step in cadence.steps.all())
    arm = f", only the arm “{cadence.arm.own_name}” of an experiment" if cadence.arm else ""
    paused = ", paused now" if cadence.paused else ""
    when = f"after {cadence.get_trigger_display()}{arm}{paused}"
    return f"{cadence.name}, {when}: {steps or 'no step yet'}"


def _step(step: Step) -> str:
    return f"{delay_in_words(step.delay)} “{step.template}”"


def _warnings(
    segment: Segment, apart: dict[Course, Separation], cadences: dict[int, list[Cadence]] | None
) -> Iterator[str]:
    if segment.status not in KEPT:
        return
    if segment.status == SegmentStatus.FROZEN:
        yield f"Its rule failed, so members stay as they are: {segment.error}"
    if cadences is not None and segment.pk not in cadences:
        yield "It triggers nothing: no active cadence starts on it."
    for course, found in apart.items():
        yield from _of_size(found.size(segment.pk), course)
        if found.flap_rate(segment.pk) > MOST_FLAPS:
            yield (
                f"In {course}, {found.flap_rate(segment.pk):.0%} of the entries of the last 28 days"
                " ended within two days. A rule for leaving would keep members longer."
            )


def _of_size(size: int, course: Course) -> Iterator[str]:
    if size == 0:
        yield f"In {course}, nobody is in it."
    elif size < members_needed():
        yield (
            f"In {course}, {size:,} members are too few to detect a small effect of half of them"
            f" being messaged ({SMALL_EFFECT} standard deviations, power {POWER:.0%}): that takes"
            f" {members_needed():,}."
        )


@cache
def members_needed() -> int:
    """Return how many members, half per arm, are needed to find a small effect: 3,142."""
    return 2 * needed_for_means(SMALL_EFFECT)


def _whole(segments: Sequence[Segment], apart: dict[Course, Separation]) -> Iterator[str]:
    kept = [segment for segment in segments if segment.status in KEPT]
    if len(kept) > MOST_SEGMENTS:
        yield (
            f"It has {len(kept)} active segments. With more than {MOST_SEGMENTS}, each gets few"
            " learners, and nobody can keep its messages good."
        )
    for course, found in apart.items():
        for one, other in combinations(kept, 2):
            alike = found.jaccard(one.pk, other.pk)
            if alike >= MOST_ALIKE:
                yield (
                    f"In {course}, “{one.name}” and “{other.name}” are nearly the same:"
                    f" {alike:.0%} of the members of either are in both."
                )
