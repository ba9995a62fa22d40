"""A playbook in words: its rules, sources, messages, sizes, evidence and warnings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import combinations
from typing import Any

from activity.access import Viewer, for_user
from activity.models import Course
from common.lazy import LazyModule
from experiments.models import Experiment, ExperimentStatus
from interventions.models import Cadence, CadenceStatus, Step
from interventions.policy.durations import delay_in_words
from segmentation.models import Playbook, PlaybookMode, Segment, SegmentStatus
from segmentation.queries import courses_of_playbook
from segmentation.queries.separation import Separation, separation_of
from segmentation.rules import RuleError, conditions, in_english, parse
from segmentation.signals import Signal

# Loading takes a second, and only the page of a playbook needs it.
power: Any = LazyModule("statsmodels.stats.power")

KEPT = (SegmentStatus.ACTIVE, SegmentStatus.FROZEN)
MOST_COURSES = 20
PERIOD = timedelta(days=28)
# Above it two segments say nearly the same.
MOST_ALIKE = 0.8
# Above it so many entries end within two days that messages come too late.
MOST_FLAPS = 0.3
MOST_SEGMENTS = 5
SMALL_EFFECT, LEVEL, POWER = 0.1, 0.05, 0.8


@dataclass(frozen=True)
class SegmentSection:
    """A segment in words. `sizes` are members by course title."""

    segment: Segment
    rule: str
    leave_rule: str
    receives: list[str]
    experiments: list[Experiment]
    sizes: list[tuple[str, int]]
    warnings: list[str]


@dataclass(frozen=True)
class PlaybookDocument:
    """All that the document says. `warnings` are about the playbook as a whole."""

    playbook: Playbook
    courses: list[Course]
    mode: str
    signals: list[Signal]
    sections: list[SegmentSection]
    warnings: list[str]


def playbook_document(
    playbook: Playbook, *, viewer: Viewer, now: datetime, is_counted: bool = True
) -> PlaybookDocument:
    """Return the document. Five queries, and two per course (at most 20 courses).

    If `is_counted` is false, it has no sizes and no warnings that need them. Then the number of
    learners does not matter for its time.
    """
    courses = shown_courses(playbook, viewer=viewer)
    segments = list(_segments(playbook))
    ids = [segment.pk for segment in segments if segment.status in KEPT]
    apart = {course: _separation(ids, course, now) for course in courses if is_counted}
    cadences = list(_cadences(segments, viewer))
    experiments = list(_experiments(segments, viewer))
    sections = [
        SegmentSection(
            segment=segment,
            rule=in_english(segment.rule),
            leave_rule=in_english(segment.leave_rule) if segment.leave_rule else "",
            receives=[_received(each) for each in cadences if each.segment_id == segment.pk],
            experiments=[each for each in experiments if each.segment_id == segment.pk],
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
        warnings=list(_whole(segments, apart)),
    )


def shown_courses(playbook: Playbook, *, viewer: Viewer) -> list[Course]:
    """Return the courses that the document names. One query."""
    return list(courses_of_playbook(playbook.pk, viewer=viewer)[:MOST_COURSES])


def _segments(playbook: Playbook) -> Iterator[Segment]:
    kept = playbook.segments.exclude(status=SegmentStatus.ARCHIVED)
    yield from kept.select_related("playbook").order_by("priority", "key")


def _separation(ids: Sequence[int], course: Course, now: datetime) -> Separation:
    as_of = course.clock_stopped_at or now
    return separation_of(ids, course, since=as_of - PERIOD, as_of=as_of)


def _cadences(segments: Sequence[Segment], viewer: Viewer) -> Iterator[Cadence]:
    seen = for_user(Cadence.objects.filter(segment__in=segments), viewer)
    active = seen.filter(status=CadenceStatus.ACTIVE, ghost_for=None).select_related("arm")
    yield from active.prefetch_related("steps__template").order_by("priority", "key")


def _experiments(segments: Sequence[Segment], viewer: Viewer) -> Iterator[Experiment]:
    seen = for_user(Experiment.objects.filter(segment__in=segments), viewer)
    yield from seen.exclude(status=ExperimentStatus.DRAFT).order_by("-started_at", "key")


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


def _received(cadence: Cadence) -> str:
    steps = "; ".join(_step(step) for step in cadence.steps.all())
    arm = f", only the arm “{cadence.arm}” of an experiment" if cadence.arm else ""
    return f"{cadence.name}, after {cadence.get_trigger_display()}{arm}: {steps or 'no step yet'}"


def _step(step: Step) -> str:
    return f"{delay_in_words(step.delay)} “{step.template}”"


def _warnings(
    segment: Segment, apart: dict[Course, Separation], cadences: Sequence[Cadence]
) -> Iterator[str]:
    if segment.status not in KEPT:
        return
    if segment.status == SegmentStatus.FROZEN:
        yield f"Its rule failed, so members stay as they are: {segment.error}"
    if not any(each.segment_id == segment.pk for each in cadences):
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
            f" being messaged (0.1 standard deviations, power 80 %): that takes"
            f" {members_needed():,}."
        )


@cache
def members_needed() -> int:
    """Return how many members, half per arm, detect 0.1 standard deviations with power 0.8.

    Two-sided t test at level 0.05: 1,571 per arm. Cohen (1988), Statistical Power Analysis, 2.4.
    """
    per_arm = power.TTestIndPower().solve_power(effect_size=SMALL_EFFECT, alpha=LEVEL, power=POWER)
    return 2 * int(-(-per_arm // 1))


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
