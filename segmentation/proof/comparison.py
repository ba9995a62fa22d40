"""Compare SQL, Python and evaluation driven by Due. All changes are rolled back."""

import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Greatest

from activity.models import Course, Due, DueCause, Enrollment
from activity.operations import pull_due
from activity.queries import wrong_day
from segmentation.models import PlaybookCourse, Segment, Transition
from segmentation.operations.definitions import Definition, read_definitions
from segmentation.proof.generated import Generated, generate_course
from segmentation.proof.random_rules import random_refs
from segmentation.proof.signals import compare_signals
from segmentation.queries import match_rule, read_signals
from segmentation.rules import Group, evaluate
from segmentation.signals import SignalRef
from segmentation.stages.evaluate import evaluate_due

STEP = timedelta(hours=6)
STEPS = 8
# Signals of generated courses are computed in plain Python at each instant of this number.
SIGNALS_EVERY = 5


@dataclass(frozen=True)
class Difference:
    """The first learner for whom two evaluations differ."""

    course: str
    learner: str
    segment: str
    as_of: str
    what: str


@dataclass(frozen=True)
class Proof:
    """The number of comparisons until the first difference, and the difference if there is one.

    `cases` are generated: a random rule with one learner's history.
    """

    instants: int = 0
    comparisons: int = 0
    cases: int = 0
    difference: Difference | None = None

    def __add__(self, other: "Proof") -> "Proof":
        return Proof(
            self.instants + other.instants,
            self.comparisons + other.comparisons,
            self.cases + other.cases,
            self.difference or other.difference,
        )


def prove_course(course: Course, *, as_of: datetime) -> Proof:
    """Compare the evaluations of the course at the instant and at seven later instants.

    Memberships cannot go back to an instant before the last evaluation; there only SQL and Python
    are compared. The course's queue is locked meanwhile. For a course without an active segment
    there is nothing to compare, and the proof has no instants.
    """
    misdated = _misdated(course, as_of)
    if misdated is not None:
        return Proof(difference=misdated)
    last = Due.objects.filter(enrollment__course=course).aggregate(at=Max("evaluated_at"))["at"]
    if not read_definitions(course.id).active:
        return Proof()
    if last is not None and as_of < last:
        return _compare_readings(course, as_of)
    # With a stopped clock there is only one instant.
    stopped = course.clock_stopped_at
    instants = [stopped] if stopped else [as_of + step * STEP for step in range(STEPS)]
    with transaction.atomic():
        # At a past instant, enrollments with later changes are not due yet, so they are pulled.
        pull_due(_unanswered(course), at=as_of, cause=DueCause.TIME)
        proof = _drive(course, instants)
        transaction.set_rollback(True)
    return proof


def _unanswered(course: Course) -> set[int]:
    """Return the enrollments with a pending first evaluation, act, edit or override.

    The instants of these changes are not stored, so these enrollments are evaluated at the first
    instant. For all others only time has passed, and the proof checks that they need not be due.
    """
    links = PlaybookCourse.objects.filter(course=course)
    edited = links.aggregate(
        revision=Greatest(
            Max("playbook__changed_revision"), Max("added_revision"), Max("norms_revision")
        )
    )["revision"]
    rows = Due.objects.filter(enrollment__course=course)
    waiting = rows.filter(
        Q(rules_revision__isnull=True)
        | Q(rules_revision__lt=edited or 0)
        | ~Q(cause=DueCause.TIME)
        | Q(enrollment__segment_overrides__applied_at__isnull=True)
        & Q(enrollment__segment_overrides__isnull=False)
    )
    return set(waiting.values_list("pk", flat=True))


def prove_generated(seed: int) -> Proof:
    """Compare throughout a simulated course, with every shipped playbook and random rules.

    Events come late and twice, and clocks change in most of the zones.
    """
    with transaction.atomic():
        generated: Generated = generate_course(seed)
        proof = _drive(
            generated.course,
            generated.instants,
            before=generated.tell,
            signals_at=generated.instants[::SIGNALS_EVERY],
        )
        transaction.set_rollback(True)
    return proof + Proof(cases=generated.cases)


def _drive(
    course: Course,
    instants: Iterable[datetime],
    *,
    before: Callable[[datetime], None] = lambda now: None,
    signals_at: Container[datetime] = (),
) -> Proof:
    """Evaluate and compare at each instant in turn, until there is a difference.

    At some instants also the signals are compared with plain Python.
    """
    proof = Proof()
    for now in instants:
        before(now)
        evaluate_due(now=now, course_id=course.id, budget_seconds=math.inf)
        proof += _compare_readings(course, now)
        if proof.difference is None:
            proof += Proof(difference=_compare_with_everybody(course, now))
        if proof.difference is None and now in signals_at:
            proof += Proof(difference=_compare_signals(course, now))
        if proof.difference is not None:
            break
    return proof


def _misdated(course: Course, as_of: datetime) -> Difference | None:
    """Return an act whose stored day differs from zoneinfo. SQL and Python would both use it."""
    wrong = wrong_day(course)
    if wrong is None:
        return None
    enrollment = Enrollment.objects.select_related("learner").get(id=wrong.enrollment_id)
    act = f"an act at {wrong.at.isoformat()} is counted on {wrong.day}"
    return Difference(
        course=course.key,
        learner=enrollment.learner.external_id,
        segment="",
        as_of=as_of.isoformat(),
        what=f"{act}, but is on {wrong.expected} by the pinned tzdata",
    )


def _compare_signals(course: Course, as_of: datetime) -> Difference | None:
    # Besides the signals of the rules every signal once, so that a fault in any of them is found.
    asked = _refs(read_definitions(course.id).active)
    more = random_refs(Random(as_of.isoformat()))  # noqa: S311 (not for secrets)
    found = compare_signals(course, list(dict.fromkeys([*asked, *more])), as_of=as_of)
    if found is None:
        return None
    enrollment = Enrollment.objects.select_related("learner").get(id=found.enrollment_id)
    return Difference(
        course=course.key,
        learner=enrollment.learner.external_id,
        segment="",
        as_of=as_of.isoformat(),
        what=str(found),
    )


def _refs(active: Iterable[Definition]) -> list[SignalRef]:
    return list({part.ref: None for one in active for part in one.rules.conditions()})


def _compare_readings(course: Course, as_of: datetime) -> Proof:
    """Compare the rules in SQL with the rules in Python on the same signals."""
    active = read_definitions(course.id).active
    rows = list(read_signals(course, _refs(active), as_of=as_of))
    proof = Proof(instants=1)
    for one in active:
        for rule in filter(None, (one.rules.rule, one.rules.leave_rule)):
            python = {row.enrollment_id for row in rows if evaluate(rule, row.signals) is True}
            found = _first(course, one, (rule, python), as_of)
            proof += Proof(comparisons=len(rows), difference=found)
    return proof


def _first(
    course: Course, one: Definition, read: tuple[Group, set[int]], as_of: datetime
) -> Difference | None:
    rule, python = read
    everybody = list(Enrollment.objects.filter(course=course).values_list("id", flat=True))
    sql = match_rule(rule, enrollment_ids=everybody, as_of=as_of)
    if sql == python:
        return None
    enrollment_id = min(sql ^ python)
    true_in = "SQL, not in Python" if enrollment_id in sql else "Python, not in SQL"
    enrollment = Enrollment.objects.select_related("learner", "course").get(id=enrollment_id)
    return _difference(enrollment, one.segment_id, as_of, f"the rule is true in {true_in}")


def _compare_with_everybody(course: Course, now: datetime) -> Difference | None:
    """Evaluate all enrollments, due or not, and roll back. None may enter or leave a segment."""
    savepoint = transaction.savepoint()
    last_id = Transition.objects.order_by("-id").values_list("id", flat=True).first() or 0
    ids = Enrollment.objects.filter(course=course).values_list("id", flat=True)
    pull_due(ids, at=now, cause=DueCause.TIME)
    evaluate_due(now=now, course_id=course.id, budget_seconds=math.inf)
    moved = Transition.objects.filter(id__gt=last_id, enrollment__course=course)
    move = moved.select_related("enrollment__learner", "enrollment__course").order_by("id").first()
    transaction.savepoint_rollback(savepoint)
    if move is None:
        return None
    what = f"would {move.kind} if evaluated now, but was not due"
    return _difference(move.enrollment, move.segment_id, now, what)


def _difference(enrollment: Enrollment, segment_id: int, as_of: datetime, what: str) -> Difference:
    segment = Segment.objects.get(id=segment_id)
    return Difference(
        course=enrollment.course.key,
        learner=enrollment.learner.external_id,
        segment=segment.key,
        as_of=as_of.isoformat(),
        what=what,
    )
