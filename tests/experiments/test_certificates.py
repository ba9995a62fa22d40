"""Certificates: few runs of each, all runs beside the printed tables, and faults that they find."""

import json
import re
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from scipy import stats as scipy_stats

from experiments.management.commands import certify_statistics
from experiments.stats import balance as arm_sizes
from experiments.stats.certificates import balance, counts, looks, rates, sections, sequences
from experiments.stats.certificates.promise import Measured, Promise, Subject, share
from experiments.stats.certificates.promises import full_promises, quick_promises
from experiments.stats.estimate import t_estimate
from experiments.stats.means import welch_difference
from experiments.stats.sections import SectionComparison
from experiments.stats.sufficient import Counts, Moments
from experiments.terminal.certification import BEGIN, END, aim, with_tables
from experiments.terminal.certified import digest_of_inputs, is_sealed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
ROW = re.compile(
    r"^\| (.+?) \| ([\d.e-]+)(?: \(± ([\d.e-]+)\))? \| (.+?) \| (\w+) \|$", re.MULTILINE
)


def printed() -> list[tuple[str, ...]]:
    return ROW.findall(PAGE.read_text().partition(BEGIN)[2].partition(END)[0])


def named(promise: Promise) -> str:
    return f"{promise.subject}: {promise.what}"


@pytest.mark.slow
@pytest.mark.parametrize("promise", quick_promises(), ids=named)
@pytest.mark.sampled(2)
def test_few_runs_show_no_gross_fault(promise: Promise) -> None:
    assert promise.check().is_possible


def test_page_has_a_row_for_every_promise_and_each_is_met() -> None:
    found = [(what, aimed, result) for what, _, _, aimed, result in printed()]

    assert found == [(each.what, aim(each), "met") for each in full_promises()]


def rows() -> Iterator[tuple[Promise, float, float]]:
    """Yield each promise with the number that is printed for it, and that number's error."""
    for promise, (_, value, error, *_) in zip(full_promises(), printed(), strict=True):
        yield promise, float(value), float(error or 0)


def assert_as_printed(promise: Promise, value: float, error: float) -> None:
    found = promise.check()
    assert found.is_met, named(promise)
    # The same seeds: only rounding may differ.
    room = error + 0.01 * value
    assert found.measured.value == pytest.approx(value, abs=room), named(promise)


# Of each kind that is counted and not simulated, the row that takes least.
QUICK_ROWS = ("8 against 8: ", "normal statistics, ")


@pytest.mark.slow
def test_a_few_rows_are_met_as_printed() -> None:
    found = [row for row in rows() if row[0].what.startswith(QUICK_ROWS)]

    assert len(found) == 3
    for row in found:
        assert_as_printed(*row)


@pytest.fixture(scope="module")
def changed_since_printed() -> None:
    """Skip the test if it would compute the printed numbers again, from the same files."""
    if is_sealed(PAGE.read_text(), inputs=digest_of_inputs(certify_statistics.ROOT)):
        pytest.skip("exactly these tables were computed from exactly these files")


# About 60 CPU seconds in all. In parts, so that they run side by side and none takes very long.
# The same files give the same numbers: see docs/decisions/0107-the-tables-name-their-inputs.md.
@pytest.mark.long("test_a_few_rows_are_met_as_printed")
@pytest.mark.usefixtures("changed_since_printed")
@pytest.mark.parametrize("subject", Subject)
def test_all_runs_keep_every_promise_as_printed(subject: Subject) -> None:
    for row in rows():
        if row[0].subject == subject:
            assert_as_printed(*row)


# Each fault is one of those that reference tables of other tools show.
def naive_sections(drawn):
    arms = [[], []]
    for each in drawn:
        arms[each.is_treated].append(each.outcomes)
    found = welch_difference(*(sum(arm, start=Moments(0, 0.0, 0.0)) for arm in arms))
    return SectionComparison(found, found, 0, 0.0, 1.0)


def wald(control: Counts, treatment: Counts):
    variance = sum(arm.rate * (1 - arm.rate) / arm.n for arm in (control, treatment))
    value = treatment.rate - control.rate
    return t_estimate(value, max(variance**0.5, 1e-9), 1e9, level=0.95, method="Wald")


def welch_alone(control: Moments, treatment: Moments, *, level: float = 0.95, draws: int = 0):
    return welch_difference(control, treatment, level=level)


def one_look_of_many(control, treatment, *, tuned_to: float):
    return wald(control, treatment)


FAULTS = {
    "sections as single learners": (
        sections, "section_difference", naive_sections, list(sections.section_promises(100))[4],
    ),
    "Wald's interval": (rates, "rate_difference", wald, next(rates.rate_promises([(8, 8)]))),
    "Wald's test": (rates, "rate_difference", wald, list(rates.rate_promises([(8, 8)]))[1]),
    "Welch's test of few": (
        counts, "mean_difference", welch_alone,
        Promise(
            Subject.COUNTS, "negative binomial, mean 4",
            partial(
                counts.false_positives,
                lambda rng, shape: rng.negative_binomial(1, 0.2, shape).astype(float),
                (12, 60), 3_000,
            ),
            high=0.055,
        ),
    ),
    "chi-square every day": (
        balance, "always_p_value",
        lambda seen, shares: arm_sizes.sample_ratio(seen, shares).p_value,
        next(balance.balance_promises([0.5], learners=200)),
    ),
    "one interval for every day": (
        sequences, "rate_sequence", one_look_of_many,
        list(sequences.sequence_promises([sequences.Course(0.5, 100)], runs=100))[2],
    ),
    "all looks at .05": (
        looks, "nominal_levels", lambda fractions: [0.95] * 5,
        next(looks.rate_look_promises([(30, 30)])),
    ),
    "critical values of one look": (
        looks, "boundary", lambda fractions: [1.96] * 5, next(looks.boundary_promises()),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("module", "name", "fault", "promise"), FAULTS.values(), ids=FAULTS)
def test_faults_miss_their_promise(module, name, fault, promise, monkeypatch) -> None:
    rates._limits.cache_clear()
    rates._limits_of_all.cache_clear()
    monkeypatch.setattr(module, name, fault)
    found = promise.check()
    rates._limits.cache_clear()
    rates._limits_of_all.cache_clear()

    assert not found.is_possible


def test_screen_of_counts_is_welchs_test() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.poisson(1, (50, 12)).astype(float), rng.poisson(1, (50, 30)).astype(float)
    expected = scipy_stats.ttest_ind(other, one, axis=1, equal_var=False).pvalue

    assert counts.welch_p_values(one, other) == pytest.approx(expected, rel=1e-9)
    assert counts.welch_p_values(one * 0, other * 0).tolist() == [1.0] * 50


@pytest.mark.parametrize("treated", [0.5, 0.1])
def test_alarms_are_counted_as_one_by_one(treated: float) -> None:
    chances, alarm = {0: 1.0}, 0.0
    for n in range(1, 26):
        after: dict[int, float] = {}
        for seen, chance in chances.items():
            for more, probability in ((1, treated), (0, 1 - treated)):
                after[seen + more] = after.get(seen + more, 0.0) + chance * probability
        chances = {}
        for seen, chance in after.items():
            if arm_sizes.sample_ratio([seen, n - seen], [treated, 1 - treated]).is_mismatch:
                alarm += chance
            else:
                chances[seen] = chance

    (promise,) = balance.balance_promises([treated], learners=25)
    assert promise.measure().value == pytest.approx(alarm, rel=1e-9)
    assert alarm > 0


def test_errors_of_many_runs_are_those_of_the_sequences() -> None:
    rng = np.random.default_rng(2)
    outcomes, is_treated = rng.poisson(1, (1, 90)).astype(float), rng.random((1, 90)) < 0.3
    sums, binary = sequences._Runs.of(outcomes, is_treated), (outcomes > 0).astype(float)
    rows = sequences._Runs.of(binary, is_treated)
    control, treatment = outcomes[~is_treated], outcomes[is_treated]

    of_means = sequences.mean_sequence(*map(Moments.from_array, (control, treatment)), tuned_to=90)
    assert sequences._mean_errors(sums)[0, -1] == pytest.approx(of_means.standard_error, rel=1e-9)
    of_rates = sequences.rate_sequence(
        Counts.from_array(control > 0), Counts.from_array(treatment > 0), tuned_to=90
    )
    assert sequences._rate_errors(rows)[0, -1] == pytest.approx(of_rates.standard_error, rel=1e-9)


def test_a_share_has_an_error_even_if_it_is_zero() -> None:
    assert share(0, 100) == Measured(0, pytest.approx(0.0098, abs=1e-4))
    assert share(50, 100).error == pytest.approx(0.05, abs=1e-4)


def promises(high: float) -> list[Promise]:
    first = Promise(Subject.RATES, "a coverage", lambda: Measured(0.95), low=0.93)
    return [first, Promise(Subject.COUNTS, "a share", lambda: Measured(0.05, 0.01), high=high)]


def certify(*arguments: str) -> str:
    out = StringIO()
    call_command("certify_statistics", *arguments, stdout=out)
    return out.getvalue()


def test_full_run_writes_its_tables_into_the_page(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(certify_statistics, "full_promises", lambda: promises(0.055))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    text = certify("--full", "--page", str(page))

    assert "a coverage                0.95  at least 0.93     met" in text
    assert "| a share | 0.05 (± 0.01) | at most 0.055 | met |" in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")
    assert "old" not in page.read_text()
    assert is_sealed(page.read_text(), inputs=digest_of_inputs(certify_statistics.ROOT))


def test_a_missed_promise_fails_and_few_runs_are_not_clear(tmp_path, monkeypatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}{END}")
    monkeypatch.setattr(certify_statistics, "full_promises", lambda: promises(0.04))
    monkeypatch.setattr(certify_statistics, "quick_promises", lambda: promises(0.04))

    with pytest.raises(CommandError, match="1 of 2 promises are missed"):
        certify("--full", "--page", str(page))
    assert "| MISSED |" in page.read_text()
    assert "not clear" in certify()
    assert [row["is_met"] for row in json.loads(certify("--json"))] == [True, True]


def test_a_page_without_a_place_gives_a_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(certify_statistics, "full_promises", lambda: promises(0.055))
    with pytest.raises(CommandError, match="there is no page"):
        certify("--full", "--page", str(tmp_path / "none.md"))
    page = tmp_path / "page.md"
    page.write_text(END + BEGIN)
    with pytest.raises(CommandError, match="no place for tables"):
        certify("--full", "--page", str(page))
    with pytest.raises(ValueError, match="no place"):
        with_tables("", [])
