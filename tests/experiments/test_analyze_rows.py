"""A third way to the numbers of a report: `analyze_csv` on the rows of its files."""

from math import isnan
from pathlib import Path
from random import Random

import pytest

from experiments.reporting.report import MetricResult
from tests.experiments.test_analyze_csv import analyze
from tests.experiments.test_recompute import bundle_of_rows, rows_of, unpack


def options(result: MetricResult) -> list[str]:
    key = result.metric.key
    forms = {
        "pass_rate": [f"{key}_passed:ratio={key}_scored"],
        "time_to": [f"{key}_hours:time={key}_happened"],
        "adjusted": [key, f"--covariate={key}_before"],
    }
    metric, *more = forms.get(result.metric.outcome.kind, [f"{key}:{result.metric.family.name}"])
    return [f"--metric={metric}", *more]


@pytest.mark.slow
def test_rows_of_a_report_give_its_numbers(tmp_path: Path) -> None:
    random = Random(1)
    rows = [*rows_of(random, "control", 80, 0.0), *rows_of(random, "nudge", 90, 1.0)]
    bundle = bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0})
    path = unpack(bundle, tmp_path) / "rows.csv"

    kinds = set()
    for result in bundle.report.results:
        found = analyze(path, *options(result))["metrics"][0]["comparisons"][0]["difference"]
        expected = result.rows[0].comparison.difference
        # The page counts days, and up to the end of the outcome's window.
        if result.metric.outcome.kind == "time_to":
            assert found["value"] == pytest.approx(expected.value * 24, rel=0.05)
            continue
        kinds.add(found["method"])
        for name in ("value", "low", "high", "p_value"):
            number = getattr(expected, name)
            assert found[name] == (None if isnan(number) else pytest.approx(number, rel=1e-9))
        assert found["reason"] == expected.reason
    assert kinds == {
        "inverted Boschloo", "permutation and Welch t", "delta method, Welch t",
        "Lin's adjustment, HC2",
    }  # fmt: skip
