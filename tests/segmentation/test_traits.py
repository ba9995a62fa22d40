"""A trait is compared by its own type: a list by its members, a number as a number."""

import pytest

from activity.models import Learner
from segmentation.queries import match_rule, read_signals
from segmentation.rules import conditions, describe, evaluate, explain, parse
from segmentation.signals import SIGNALS_BY_NAME, SignalRef
from tests.factories import NOW, make_enrollment, make_learner
from tests.segmentation.factories import identity

pytestmark = pytest.mark.django_db
HUGE = 10**400


def asked(operator, value=None):
    shape = {"field": "trait", "key": "it", "operator": operator}
    return parse(shape if value is None else shape | {"value": value})


def answers(trait, rule):
    """Return the results of SQL and Python for a learner with the trait."""
    learner = make_learner(traits={"it": trait})
    enrollment = make_enrollment(learner=learner)
    refs = [condition.ref for condition in conditions(rule)]
    (row,) = read_signals(enrollment.course, refs, as_of=NOW)
    matched = match_rule(rule, enrollment_ids=[enrollment.id], as_of=NOW)
    return matched == {enrollment.id}, evaluate(rule, row.signals)


@pytest.mark.parametrize(
    ("trait", "operator", "value", "expected"),
    [
        (["Wales"], "=", "Wales", True),
        (["Wales"], "!=", "Wales", False),
        (["Wales", "Kent"], "!=", "Kent", False),
        (["Wales", "Kent"], "!=", "Fife", True),
        (["Wales"], "contains", "Wal", True),
        (["Wales", "Kent"], "contains", '", "', False),
        (["Wales"], "contains", "[", False),
        (["Wales", "Kent"], "in", ["Kent"], True),
        (["Wales", "Kent"], "notIn", ["Kent"], False),
        ([], "!=", "Wales", None),
        ([], "null", None, True),
        ([None], "=", "Wales", None),
        ({"a": 1}, "=", "Wales", None),
        (None, "!=", "Wales", None),
        (None, "null", None, True),
        (["Wales"], "notNull", None, True),
        (17, ">=", 18, False),
        (18, ">=", 18, True),
        (9, "<", 18, True),
        (17, "between", [16, 18], True),
        (17, "notBetween", [16, 18], False),
        (17.0, "=", 17, True),
        (17.0, "=", "17", True),
        (17, "!=", 17, False),
        (17, "in", [16, 17], True),
        ([16, 19], ">=", 18, True),
        (["old", 19], ">=", 18, True),
        ("17", ">=", 18, None),
        ("17", "=", "17", True),
        (True, "=", "true", True),
        (True, "=", 1, None),
        (0.1, "=", 0.1, True),
        (1e-7, "=", "0.0000001", True),
        (HUGE, ">", 18, True),
        (-HUGE, "<", 0, True),
    ],
)
def test_a_trait_compares_by_its_own_type_in_sql_and_in_python(trait, operator, value, expected):
    assert answers(trait, asked(operator, value)) == (expected is True, expected)


@pytest.mark.parametrize(
    ("operator", "value", "words"),
    [
        (">=", 18, "Trait it is at least 18"),
        ("=", 17, "Trait it is exactly 17"),
        ("!=", 17, "Trait it is not 17"),
        ("between", [16, 18], "Trait it is between 16 and 18"),
        ("in", [16, "old"], "Trait it is one of 16, 'old'"),
        ("=", "Wales", "Trait it is 'Wales'"),
    ],
)
def test_a_rule_on_a_trait_reads_as_english(operator, value, words):
    assert explain(asked(operator, value)) == words


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        (["Wales", 17], "Trait it is 'Wales', 17"),
        (17, "Trait it is 17"),
        (True, "Trait it is true"),
        ("Wales", "Trait it is 'Wales'"),
    ],
)
def test_trait_is_described_by_its_type(trait, words):
    assert describe(identity("trait", None, "it"), trait) == words


def test_a_trait_is_read_as_it_is_stored():
    traits = {"region": ["Wales"], "age": 35, "name": "Ana", "empty": []}
    learner = make_learner(traits=traits)
    enrollment = make_enrollment(learner=Learner.objects.get(pk=learner.pk))
    refs = [SignalRef(SIGNALS_BY_NAME["trait"], None, (key,)) for key in (*traits, "income")]
    (row,) = read_signals(enrollment.course, refs, as_of=NOW)
    assert list(row.signals.values()) == [["Wales"], 35, "Ana", None, None]
