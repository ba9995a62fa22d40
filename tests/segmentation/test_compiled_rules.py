"""The SQL of a rule against its Python, on signals that no course could have."""

import json

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.compiler.conditions import compile_rule
from segmentation.compiler.due import flips
from segmentation.queries import match_rule
from segmentation.rules import OPERATORS, conditions, evaluate, parse
from segmentation.signals import SIGNALS_BY_NAME, SignalKind
from segmentation.sql import Params
from tests.examples import examples
from tests.factories import NOW, make_enrollment, make_learner
from tests.segmentation.factories import identity
from tests.segmentation.rule_strategies import names, rule_shapes, values_for

DAY = 86_400 * 10**6


def stored(value, kind):
    """Return the value and its type in a reading."""
    if kind is SignalKind.TRAIT:
        return (None if value is None else json.dumps(value)), "jsonb"
    return value, "bigint" if kind is SignalKind.COUNT else "float8"


def in_sql(rule, signals):
    """Return PostgreSQL's result of the rule for one row of signals."""
    params = Params()
    kinds = {condition.ref.identity: condition.signal.kind for condition in conditions(rule)}
    aliases = {identity: f"s{number}" for number, identity in enumerate(kinds)}
    row = ", ".join(
        f"{params.bind(*stored(signals[identity], kind))} AS {aliases[identity]}"
        for identity, kind in kinds.items()
    )
    sql = f"SELECT {compile_rule(rule, params, aliases)} FROM (SELECT {row}) r"
    with connection.cursor() as cursor:
        cursor.execute(sql, params.values)
        return cursor.fetchone()[0]


@pytest.mark.django_db
@pytest.mark.slow
@settings(max_examples=examples(400), deadline=None)
@given(shape=rule_shapes(), data=st.data())
def test_sql_and_python_agree_for_unknown_values_too(shape, data):
    rule = parse(shape)
    signals = {
        condition.ref.identity: data.draw(values_for(SIGNALS_BY_NAME[condition.field]))
        for condition in conditions(rule)
    }
    assert in_sql(rule, signals) is evaluate(rule, signals)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["it's", 'a"b', "100%", "%s", "%(p0)s", "\\", "{0}", "'; DROP TABLE x; --"]
)
@pytest.mark.parametrize("operator", ["=", "contains", "in"])
def test_texts_are_bound_and_never_read_as_sql(text, operator):
    value = [text] if operator == "in" else text
    rule = parse({"field": "trait", "key": "region", "operator": operator, "value": value})
    assert in_sql(rule, {identity("trait", None, "region"): text}) is True
    assert in_sql(rule, {identity("trait", None, "region"): "other"}) is False


@pytest.mark.slow
@pytest.mark.django_db
@given(name=names)
def test_an_argument_is_bound_and_never_read_as_sql(name):
    rule = parse({"field": "trait", "key": name, "operator": "=", "value": "Wales"})
    with_it = make_enrollment(learner=make_learner(traits={name: "Wales"}))
    without = make_enrollment(with_it.course, make_learner(traits={f"{name}'": "Wales"}))
    ids = [with_it.id, without.id]
    assert match_rule(rule, enrollment_ids=ids, as_of=NOW) == {with_it.id}


def test_every_operator_has_sql_and_english():
    for symbol, entry in OPERATORS.items():
        assert entry.symbol == symbol
        assert "{signal}" in entry.sql
        assert entry.suits(text=True) or entry.suits(text=False)


@pytest.mark.parametrize(
    ("days", "micros"),
    [
        pytest.param(7, (7 * DAY, 7 * DAY + 1), id="week"),
        pytest.param(0, (0, 1), id="now"),
        pytest.param(0.1, (DAY // 10, DAY // 10 + 1), id="tenth, a float above it"),
        pytest.param(-1, (), id="past"),
        pytest.param(1e300, (), id="never"),
    ],
)
def test_comparisons_change_at_the_threshold_and_just_after(days, micros):
    assert flips(days) == micros


@given(
    days=st.one_of(
        st.floats(0, 400),
        st.integers(0, 400 * 1440).map(lambda minutes: minutes / 1440),
        st.integers(0, 400 * DAY).map(lambda micros: micros / 10**6 / 86_400),
    )
)
def test_comparisons_change_at_no_other_microsecond(days):
    reached, passed = flips(days)

    def compared(micros):
        value = micros / 10**6 / 86_400
        return (value < days, value <= days, value == days)

    if reached:
        assert compared(reached - 1) == compared(0) == (True, True, False)
    assert compared(passed) == compared(passed + 10**9) == (False, False, False)
