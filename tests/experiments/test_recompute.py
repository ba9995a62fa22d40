"""Two ways to each number: the report from sums, and the notebook from the rows of its files."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from experiments.exports.bundle import Bundle
from experiments.exports.hiding import Place, Shown
from experiments.exports.notebook.reading import Data
from experiments.exports.notebook.report import beside, report_text
from experiments.exports.plan import Plan
from experiments.exports.rows import Row
from experiments.metrics.definitions import GUARDRAILS, METRICS, MORE_METRICS, Metric
from experiments.reporting.by_section import DrawnSections, with_sections
from experiments.reporting.compared import sequences_of
from experiments.reporting.looking import Looking
from experiments.reporting.reach import reach_metric
from experiments.reporting.report import build_report, with_checks
from experiments.reporting.staying import staying_metric
from experiments.stats.estimate import Estimate
from tests.experiments.test_report import FACTS, arm
from tests.long import longer

DAY = date(2025, 11, 3)
PLAN = Plan(
    (*METRICS, *MORE_METRICS),
    tuple(metric for metric, _ in GUARDRAILS),
    staying_metric(METRICS[0]),
    reach_metric(METRICS[0]),
)


def drawn_numbers(random: Random, metric: Metric, kindness: float) -> tuple[Any, ...]:
    """Return numbers of a learner in the metric's columns, higher in a kinder arm."""
    count = int(random.expovariate(1) * (1 + kindness))
    kind = metric.outcome.kind
    if kind == "pass_rate":
        return min(random.randrange(count + 1), count), count
    if kind == "time_to":
        followed = random.choice([672, 672, random.randrange(24, 672)])
        return random.choice([None, random.randrange(1, 700)]), followed
    if kind == "adjusted":
        before = None if random.random() < 0.2 else max(0, count + random.randrange(-1, 3))
        return count, before
    if kind == "left":
        return (int(random.random() < 0.15 * kindness),)
    return (count,)


def rows_of(random: Random, key: str, number: int, kindness: float, plan: Plan = PLAN) -> list[Row]:
    """Return rows of an arm at random."""
    rows = []
    for _ in range(number):
        is_counted = random.random() < 0.9
        numbers: list[Sequence[Any] | None] = [
            drawn_numbers(random, metric, kindness) for metric in plan.outcomes
        ]
        primary = numbers[0] if plan.reached else ()
        assert primary is not None
        left = int(random.random() < 0.1 + 0.1 * kindness)
        reached = int(kindness > 0 and random.random() < 0.8)
        numbers += [(*primary, left), (*primary, reached)][: len(plan.read) - len(numbers)]
        rows.append(
            Row(
                Place(key, None, DAY + timedelta(days=random.randrange(3))),
                [each if is_counted or not metric.outcome.waits else None
                 for metric, each in zip(plan.read, numbers, strict=True)],
                drawn_numbers(random, plan.primary, kindness) if random.random() < 0.7 else None,
            )
        )  # fmt: skip
    random.shuffle(rows)
    return rows


def observed(rows: list[Row], key: str, plan: Plan = PLAN) -> dict[str, Any]:
    own = [row.numbers for row in rows if row.place.arm == key]
    columns = list(zip(*own, strict=True)) or [()] * len(plan.read)
    return {
        metric.key: metric.observe(Counter(tuple(each) for each in of_metric if each is not None))
        for metric, of_metric in zip(plan.read, columns, strict=True)
    }


def any_time(numbers: dict[str, dict[str, Any]], plan: Plan) -> dict[str, Estimate]:
    arms = [arm(key, 0) for key in numbers]
    outcomes = {key: of_arm[plan.primary.key] for key, of_arm in numbers.items()}
    return sequences_of(
        plan.primary, arms, outcomes, tuned_to=plan.expected_learners, level=FACTS.level
    )


def bundle_of_rows(rows: list[Row], weights: dict[str, float], plan: Plan = PLAN) -> Bundle:
    """Return the files of a report on the rows."""
    sizes = Counter(row.place.arm for row in rows)
    arms = [arm(key, sizes[key], weight=weight) for key, weight in weights.items()]
    numbers = {key: observed(rows, key, plan) for key in weights}
    of_messages = {
        key: [tuple(row.anchored) for row in rows if row.place.arm == key and row.anchored]
        for key in weights
    }
    anchored = {key: plan.primary.observe(Counter(found)) for key, found in of_messages.items()}
    facts = replace(FACTS, is_corrected=True, protocol_sha256=sha256(b"{}").hexdigest())
    report = build_report(facts, arms=arms, metrics=plan.metrics, observed=numbers, deliveries={})
    report = with_checks(report, guardrails=GUARDRAILS, observed=numbers, anchored=anchored)
    report = replace(report, looking=Looking((), None, None, any_time(numbers, plan)))
    return Bundle(report, "{}", plan, Shown.of(Counter(row.place for row in rows)), rows)


def unpack(bundle: Bundle, folder: Path) -> Path:
    for name, parts in bundle.files():
        (folder / name).write_text("".join(parts), newline="")
    return folder


CASES = {
    "a class": (1, {"control": (12, 0.0), "nudge": (12, 1.0)}),
    "tiny arms": (2, {"control": (5, 0.0), "nudge": (6, 2.0)}),
    "three arms": (3, {"control": (15, 0.0), "nudge": (16, 0.5), "guide": (14, 2.0)}),
    "an empty arm": (4, {"control": (9, 0.0), "nudge": (0, 1.0)}),
    "hidden numbers": (7, {"control": (14, 0.0), "nudge": (5, 1.0)}),
    "larger arms": (5, {"control": (104, 0.0), "nudge": (120, 0.3)}),
}
LARGER = ("larger arms", "three arms")


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        *(case for case in CASES if case not in LARGER),
        *longer("test_every_number_follows_from_the_rows", *LARGER),
    ],
)
def test_every_number_follows_from_the_rows(case: str, tmp_path: Path) -> None:
    seed, arms = CASES[case]
    random = Random(seed)
    rows = [row for key, (n, kindness) in arms.items() for row in rows_of(random, key, n, kindness)]
    bundle = bundle_of_rows(rows, dict.fromkeys(arms, 1.0))

    compared = list(beside(Data.read(unpack(bundle, tmp_path))))

    assert [each for each in compared if not each[-1]] == []
    assert len(compared) > (50 if case == "hidden numbers" else 100)


@pytest.mark.slow
@pytest.mark.parametrize("primary", [METRICS[1], *MORE_METRICS], ids=lambda each: each.key)
def test_every_kind_of_primary_outcome_follows_from_the_rows(
    primary: Metric, tmp_path: Path
) -> None:
    plan = Plan((primary,), PLAN.guardrails, staying_metric(primary), reach_metric(primary))
    random = Random(10)
    rows = [*rows_of(random, "control", 20, 0.0, plan), *rows_of(random, "nudge", 18, 1.0, plan)]
    bundle = bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0}, plan)

    compared = list(beside(Data.read(unpack(bundle, tmp_path))))

    assert [each for each in compared if not each[-1]] == []


def bundle_of_sections(rows: list[Row], sections: dict[str, int]) -> Bundle:
    """Return the files of a report on whole sections, with so many sections drawn into each arm."""
    plain = bundle_of_rows(rows, dict.fromkeys(sections, 1.0))
    numbers = {key: observed(rows, key) for key in sections}
    sectioned: dict[str, dict[str, dict[str, Any]]] = {metric.key: {} for metric in PLAN.outcomes}
    for section in sorted({row.place.section or 0 for row in rows}):
        own = [row for row in rows if row.place.section == section]
        key = own[0].place.arm
        for metric_key, found in observed(own, key).items():
            if metric_key in sectioned:
                sectioned[metric_key][str(section)] = {key: found}
    facts = replace(plain.report.facts, draws_sections=True)
    report = with_sections(
        replace(plain.report, facts=facts, staying=None, reach=None, looking=None),
        guardrails=GUARDRAILS, observed=numbers, sectioned=sectioned, drawn=DrawnSections(sections),
    )  # fmt: skip
    return replace(plain, report=report)


@pytest.mark.slow
@pytest.mark.parametrize(("smallest", "not_computed"), [(6, 0), (4, 104)])
def test_whole_sections_are_compared_as_far_as_they_are_shown(
    smallest: int, not_computed: int, tmp_path: Path
) -> None:
    random = Random(6)
    rows = []
    for section in range(1, 8):
        key = ("control", "nudge")[section % 2]
        of_one = rows_of(random, key, smallest if section == 1 else 6 + section, section % 2)
        rows += [replace(row, place=row.place._replace(section=section)) for row in of_one]
    said = report_text(unpack(bundle_of_sections(rows, {"control": 3, "nudge": 5}), tmp_path))

    assert said.endswith("All numbers agree.")
    assert "outcome quiz_pass_rate_7d nudge difference" in said
    assert ("outcome quiz_pass_rate_7d nudge p_value" in said) is not bool(not_computed)
    hidden = f"Not computed, as they need sections or strata that are hidden: {not_computed}."
    assert (hidden in said) is bool(not_computed)


@pytest.mark.slow
def test_a_changed_number_and_a_changed_row_are_found(tmp_path: Path) -> None:
    random = Random(9)
    rows = [*rows_of(random, "control", 6, 0.0), *rows_of(random, "nudge", 6, 1.0)]
    bundle = bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0})
    unpack(bundle, tmp_path)
    assert report_text(tmp_path).endswith("All numbers agree.")

    numbers, lines = tmp_path / "numbers.csv", tmp_path / "rows.csv"
    original = numbers.read_text()
    numbers.write_text(original.replace("arms,,nudge,drawn,6.0", "arms,,nudge,drawn,7.0"))
    said = report_text(tmp_path)
    assert said.endswith("Numbers that differ: 1.")
    assert said.count("<-- differs") == 1
    numbers.write_text(original)
    *others, last = lines.read_text().splitlines()
    lines.write_text("\n".join([*others, last.replace("nudge,0", "control,1")]))
    differing = [line for line in report_text(tmp_path).splitlines() if "<-- differs" in line]
    assert any(line.startswith("arms nudge drawn ") for line in differing)
