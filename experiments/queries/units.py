"""The enrollments that a draw looks at: who they are, their strata, and who was reached before."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from activity.models import Course, Enrollment, Event
from experiments.covariates import refs_of
from experiments.design import COURSE, Covariate
from experiments.models import DeliveryOutcome, DeliveryOutcomeKind
from experiments.randomize.strata import as_number, quantile_cuts, stratum_key
from segmentation.queries import read_signals
from segmentation.rules import heading

SENT = "EMAIL_SENT"


@dataclass(frozen=True)
class Unit:
    """An enrollment that may be drawn."""

    enrollment_id: int
    unit_key: UUID
    learner_id: int
    course_id: int
    section_id: int | None


def units_of(enrollment_ids: Collection[int]) -> list[Unit]:
    """Return the enrollments, in the order of their ids. One query."""
    # The order is fixed, so two workers with the same enrollments wait and do not deadlock.
    found = Enrollment.objects.filter(pk__in=enrollment_ids).order_by("pk")
    names = ("pk", "unit_key", "learner_id", "course_id", "section_id")
    return [Unit(*values) for values in found.values_list(*names)]


def reached_learners(learner_ids: Collection[int]) -> set[int]:
    """Return those to whom any message was handed off, in whatever course. Two queries."""
    sent = Event.objects.filter(enrollment__learner__in=learner_ids, verb=SENT)
    # Messages that are no mail write no event.
    told = DeliveryOutcome.objects.filter(
        assignment__enrollment__learner__in=learner_ids, outcome=DeliveryOutcomeKind.HANDED_OFF
    )
    return {
        *sent.values_list("enrollment__learner", flat=True),
        *told.values_list("assignment__enrollment__learner", flat=True),
    }


def stratum_keys(
    units: Sequence[Unit], covariates: tuple[Covariate, ...], *, now: datetime
) -> dict[int, str]:
    """Return the stratum of each enrollment, from its values at the instant."""
    if not covariates:
        return {unit.enrollment_id: stratum_key((), {}) for unit in units}
    by_course: dict[int, list[int]] = {}
    for unit in units:
        by_course.setdefault(unit.course_id, []).append(unit.enrollment_id)
    values: dict[int, dict[str, object]] = {}
    for course in Course.objects.filter(pk__in=by_course).order_by("pk"):
        values |= covariate_values(course, covariates, now=now, among=by_course[course.pk])
    return {
        unit.enrollment_id: stratum_key(covariates, values[unit.enrollment_id]) for unit in units
    }


def covariate_values(
    course: Course,
    covariates: tuple[Covariate, ...],
    *,
    now: datetime,
    among: list[int],
) -> dict[int, dict[str, object]]:
    """Return the values of the covariates for enrollments of the course.

    An enrollment that is out of the course's scope has only the course: its signals are unknown.
    """
    refs = refs_of(covariates)
    read = read_signals(course, refs, as_of=now, enrollment_ids=among) if refs else ()
    signals = {row.enrollment_id: row.signals for row in read}
    return {each: {COURSE: course.key, **_plain(signals.get(each, {}))} for each in among}


def with_cuts(
    covariates: tuple[Covariate, ...], courses: Iterable[Course], *, now: datetime
) -> tuple[Covariate, ...]:
    """Return the covariates with the cuts of their numbers, from the enrollments in scope now.

    Raise ValueError with a sentence if nobody has a number: a trait may be stored as text.
    """
    numeric = tuple(each for each in covariates if each.parts)
    values: dict[str, list[float]] = {each.name: [] for each in numeric}
    for course in courses if numeric else ():
        for row in read_signals(course, refs_of(numeric), as_of=now):
            for name, value in _plain(row.signals).items():
                number = as_number(value)
                if number is not None:
                    values[name].append(number)
    for covariate in numeric:
        if not values[covariate.name]:
            raise ValueError(_no_number(covariate))
    return tuple(
        Covariate(each.name, each.parts, quantile_cuts(values[each.name], parts=each.parts))
        if each.parts
        else each
        for each in covariates
    )


def _no_number(covariate: Covariate) -> str:
    (ref,) = refs_of((covariate,))
    return (
        f"No learner of the courses has a number for “{heading(ref)}” yet, so it cannot be cut "
        "into parts. Leave it out of the strata, or write it without parts if it is a text."
    )


def _plain(signals: Mapping[str, object]) -> dict[str, object]:
    # JSON knows no decimals, and a count and a trait may be the same number.
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in signals.items()
    }
