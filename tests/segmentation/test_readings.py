"""The compiled readings against plain Python, for any history, rule and instant."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity.models import Enrollment
from segmentation.compiler import SegmentRules, compile_reading, compile_rules
from segmentation.operations import ensure_norms
from segmentation.proof.plain import LearnerReading, completed_by_somebody, paces
from segmentation.queries import norms_for, read_signals
from segmentation.rules import conditions, evaluate, parse
from segmentation.signals import SIGNALS, SIGNALS_BY_NAME, SignalRef, Subject, Window
from tests.examples import examples
from tests.segmentation.histories import instants, worlds
from tests.segmentation.rule_strategies import NAMES, rule_shapes

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

NUMBERS = tuple(signal for signal in SIGNALS if not signal.is_trait)
# For each number of arguments: a verb, then filters, or a verb that must not follow.
VARIANTS = {
    0: ((),),
    2: (("ATTEMPT_QUIZ", "VIEW_ITEM"), ("VIEW_ITEM", "COMPLETE_ITEM"), ("LOGIN", "LOGIN")),
    6: (
        ("PURCHASE", "", "", "", "", ""),
        ("VIEW_ITEM", "", "page", "", "", ""),
        ("PURCHASE", "", "", "", "plan", "gift"),
        ("ATTEMPT_QUIZ", "", "", "", "cart.size", "2"),
        ("LOGIN", "", "", "", "cart.of.0", "gift"),
    ),
}
WINDOWS = (1, 2, 7, 14)
many = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def refs():
    """Return every signal over every window of the test, and every possible trait."""
    yield from (SignalRef(SIGNALS_BY_NAME["trait"], None, (name,)) for name in NAMES)
    for signal in NUMBERS:
        windows = {
            Window.NONE: (None,),
            Window.OPTIONAL: (*WINDOWS, None),
            Window.REQUIRED: WINDOWS,
        }[signal.window]
        for arguments in VARIANTS[len(signal.args)]:
            yield from (SignalRef(signal, window, arguments) for window in windows)


def expected_signals(world, enrollment, as_of, wanted):
    reading = LearnerReading(world, enrollment, as_of)
    return {
        ref.identity: getattr(reading, ref.signal.name)(ref.window, *ref.args) for ref in wanted
    }


def is_in_scope(world, enrollment, as_of):
    reading = LearnerReading(world, enrollment, as_of)
    return reading.began_at <= as_of and reading.day <= world.course.ends_on


def run(reading):
    """Return the row of each enrollment, with signals by identity."""
    identities = {alias: identity for identity, alias in reading.signals.items()}
    with connection.cursor() as cursor:
        cursor.execute(reading.sql, reading.params)
        names = [identities.get(column.name, column.name) for column in cursor.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in cursor.fetchall()}


def read_rule(world, rule, as_of):
    day = world.local_day(as_of)
    return run(
        compile_reading(
            [SegmentRules(1, rule, rule)],
            course_id=world.course.pk,
            as_of=as_of,
            enrollment_ids=None,
            norms=norms_for(world.course.pk, day),
        )
    )


@many
@given(data=st.data())
def test_signals_equal_the_reference_at_any_instant(data):
    world = data.draw(worlds())
    wanted = list(refs())
    enrollments = Enrollment.objects.filter(course=world.course).in_bulk()
    for _ in range(4):
        as_of = data.draw(instants(world.course.time_zone))
        found = {row.enrollment_id: row for row in read_signals(world.course, wanted, as_of=as_of)}
        scope = {pk for pk, one in enrollments.items() if is_in_scope(world, one, as_of)}
        assert set(found) == scope
        for pk, row in found.items():
            assert row.signals == expected_signals(world, enrollments[pk], as_of, wanted)


@many
@given(data=st.data())
def test_norms_equal_the_reference_before_the_day_began(data):
    world = data.draw(worlds())
    day = world.local_day(data.draw(instants(world.course.time_zone)))
    medians, by_learner = paces(world, day)
    found = norms_for(world.course.pk, day)
    assert dict(found.module_medians) == medians
    assert list(found.paces) == sorted(by_learner.values())
    assert set(found.completed_items) == completed_by_somebody(world, day)


@many
@given(data=st.data())
def test_a_rule_means_the_same_in_sql_and_in_python(data):
    world = data.draw(worlds())
    rule = parse(data.draw(rule_shapes(windows=WINDOWS)))
    as_of = data.draw(instants(world.course.time_zone))
    for row in read_rule(world, rule, as_of).values():
        signals = {part.ref.identity: row[part.ref.identity] for part in conditions(rule)}
        wanted = evaluate(rule, signals) if row["in_scope"] else False
        assert row["rule_1"] is wanted
        assert row["leave_1"] is wanted


@many
@given(data=st.data())
def test_courses_are_read_by_one_statement_as_each_of_them_alone(data):
    rules = [SegmentRules(1, parse(data.draw(rule_shapes(windows=WINDOWS))))]
    subjects = [subject(data.draw(worlds()), data) for _ in range(3)]
    one_text = compile_rules(rules, subjects[:2]).sql
    together = compile_rules(rules, subjects)
    assert together.sql == one_text
    alone = [run(compile_rules(rules, [with_norms(each)])) for each in subjects]
    assert run(together) == {pk: row for each in alone for pk, row in each.items()}


def subject(world, data):
    """Return the enrollments of the world at an instant of its own, with the norms of its day."""
    as_of = data.draw(instants(world.course.time_zone))
    ids = list(world.course.enrollments.order_by("pk").values_list("pk", flat=True))
    day = world.local_day(as_of)
    ensure_norms(world.course.pk, day, now=as_of)
    return Subject(world.course.pk, as_of, ids, day)


def with_norms(subject):
    return replace(subject, norms=norms_for(subject.course_id, subject.norms))


@many
@given(data=st.data())
def test_nothing_changes_before_the_next_due_instant_unless_something_happens(data):
    world = data.draw(worlds())
    rule = parse(data.draw(rule_shapes(windows=WINDOWS)))
    last = max((act.occurred_at for act in world.acts), default=None)
    as_of = max(filter(None, [data.draw(instants(world.course.time_zone)), last]))
    before = read_rule(world, rule, as_of)
    for pk, row in before.items():
        until = row["next_due"]
        assert until is None or until > as_of
        end = until - timedelta(microseconds=1) if until else as_of + timedelta(days=100)
        probe = as_of + (end - as_of) * data.draw(st.floats(0, 1))
        for later in (probe, end):
            after = read_rule(world, rule, max(later, as_of))[pk]
            assert (after["rule_1"] is True, after["over"]) == (row["rule_1"] is True, row["over"])
