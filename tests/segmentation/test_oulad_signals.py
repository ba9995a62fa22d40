"""Every signal on real course runs equals what DuckDB computes from the raw files.

Twenty rules over these signals match the same learners.
"""

from collections.abc import Mapping
from contextlib import closing
from math import isclose
from random import Random
from typing import Any

import pytest
from django.core.management import call_command

from activity.models import Course
from segmentation.queries import preview, read_signals
from segmentation.rules import parse
from segmentation.rules.refs import read_ref
from segmentation.signals import SIGNALS, SignalKind, SignalRef
from tests.long import longer
from tests.segmentation.oracle_oulad import DAY_0
from tests.segmentation.oracle_signals import RunOracle, Values
from tests.segmentation.test_oulad import data, end_of

__all__ = ["data"]

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
RUNS = ("AAA_2013J", "GGG_2014J", "FFF_2014J", "CCC_2014B")
DAYS = (19, 60, 130, 200)
RULES = 20
# No event of OULAD is a login, a video, a start of an assignment, a message or a purchase.
NEVER = {
    "logins", "video_plays", "assignments_started", "messages_sent", "messages_opened",
    "messages_clicked",
}  # fmt: skip

Named = dict[SignalRef, Values]


def ref_of(name: str, window: int | None, unit: int) -> SignalRef:
    """Return the signal that the oracle names, with a verb and a filter."""
    field, *more = name.split()
    shape: dict[str, Any] = {"field": field}
    if field == "trait":
        shape["key"] = more[0]
    elif more:
        shape["verb"] = more[0]
    if field == "sequence":
        shape["without"] = more[1]
    elif len(more) == 2:
        key, text = more[1].split("=")
        shape[key] = f"unit-{unit}" if key == "item" else text
    return read_ref(shape | ({} if window is None else {"window": window}), "")


def expected(oracle: RunOracle, day: int) -> Named:
    unit = oracle.first_unit()
    return {ref_of(name, n, unit): values for name, n, values in oracle.signals(day)}


def found(course: Course, refs: list[SignalRef], day: int) -> dict[SignalRef, Values]:
    rows = list(read_signals(course, refs, as_of=end_of(course, day)))
    student = {row.enrollment_id: int(row.learner.removeprefix("oulad-")) for row in rows}
    return {
        ref: {student[row.enrollment_id]: row.signals[ref.identity] for row in rows} for ref in refs
    }


def differences(ours: Values, theirs: Values) -> list[Any]:
    return [
        (student, ours.get(student, "missing"), theirs.get(student, "missing"))
        for student in ours.keys() | theirs.keys()
        if not is_same(ours.get(student, "missing"), theirs.get(student, "missing"))
    ]


def is_same(ours: Any, theirs: Any) -> bool:
    if ours is None or theirs is None or "missing" in (ours, theirs):
        return bool(ours == theirs)
    return isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)


def random_rule(named: Named, chance: Random) -> dict[str, Any]:
    """Return two or three conditions at values that some learners have."""
    rules = []
    for ref in chance.sample(sorted(named, key=lambda ref: ref.identity), k=chance.choice((2, 3))):
        known = sorted(value for value in named[ref].values() if value is not None)
        value = chance.choice(known) if known else 0
        if value != int(value) or ref.signal.kind is SignalKind.DAYS:
            # Not at the very value, where the last bit of a float would decide.
            value += 0.0037
        operator = chance.choice((">=", "<", "<=", ">"))
        rules.append(ref.shape | {"operator": operator, "value": value})
    return {
        "combinator": chance.choice(("and", "or")),
        "not": chance.random() < 0.3,
        "rules": rules,
    }


def matches(rule: Mapping[str, Any], named: Named, student: int) -> bool:
    """Decide the rule by Kleene's logic on the values of the oracle."""
    answers = []
    for condition in rule["rules"]:
        shape = {key: text for key, text in condition.items() if key not in ("operator", "value")}
        value = named[read_ref(shape, "")][student]
        limit = condition["value"]
        below, above = {">=": (False, True), "<": (True, False)}.get(
            condition["operator"], (True, False) if condition["operator"] == "<=" else (False, True)
        )
        equal = condition["operator"] in (">=", "<=")
        if value is None:
            answers.append(None)
        elif isclose(value, limit, rel_tol=1e-9, abs_tol=1e-9):
            answers.append(equal)
        else:
            answers.append(below if value < limit else above)
    decides = rule["combinator"] == "or"
    if decides in answers:
        joined: bool | None = decides
    else:
        joined = None if None in answers else not decides
    return joined is not rule["not"] and joined is not None


@pytest.mark.parametrize(
    ("run", "days"),
    [
        (RUNS[3], (DAYS[1],)),
        *longer("test_signals_are_those_of_the_oracle", *((run, DAYS) for run in RUNS)),
    ],
)
def test_signals_are_those_of_the_oracle(run, days, data):
    call_command("import_oulad", data, "--runs", run, "--until-day", str(days[-1]), "--json")
    course = Course.objects.get(key=run)
    with closing(RunOracle(data, run, DAY_0[run.split("_")[1]])) as oracle:
        by_day = {day: expected(oracle, day) for day in days}
    for day, named in by_day.items():
        ours = found(course, list(named), day)
        for ref, theirs in named.items():
            assert differences(ours[ref], theirs) == [], (ref.identity, day)
        assert any(value for value in next(iter(ours.values())).values())
        check_rules(course, named, day)


def check_rules(course: Course, named: Named, day: int) -> None:
    chance = Random(f"{course.key} {day}")
    sizes = set()
    for _ in range(RULES):
        rule = random_rule(named, chance)
        learners = preview(parse(rule), course, as_of=end_of(course, day)).learners
        students = next(iter(named.values()))
        theirs = {f"oulad-{each}" for each in students if matches(rule, named, each)}
        assert set(learners) == theirs, rule
        sizes.add(len(theirs))
    assert len(sizes) > RULES / 4, "rules that match everybody or nobody prove little"


def test_the_oracle_has_every_signal_that_the_data_can_show(data):
    with closing(RunOracle(data, RUNS[0], DAY_0["2013J"])) as oracle:
        asked = {ref.signal.name for ref in expected(oracle, 60)}
    assert {signal.name for signal in SIGNALS} - asked == NEVER | {"event_sum"}
