from dataclasses import replace

import pytest
import scipy

from experiments.metrics.definitions import METRICS
from experiments.reporting.report import Report, build_report
from experiments.reporting.robust import robust_texts
from experiments.stats.means import mean_difference
from experiments.stats.sufficient import Moments
from tests.experiments.test_report import FACTS, arm

TOTAL = METRICS[1]


def of(control: dict[int, int], nudge: dict[int, int], **facts: float) -> Report:
    """Return a report of quiz attempts, given how many learners have each number."""
    arms = {"control": control, "nudge": nudge}
    return build_report(
        replace(FACTS, **facts),
        arms=[arm(key, sum(each.values())) for key, each in arms.items()],
        metrics=[TOTAL],
        observed={
            key: {TOTAL.key: TOTAL.observe({(number,): n for number, n in each.items()})}
            for key, each in arms.items()
        },
        deliveries={},
    )


def values(counts: dict[int, int]) -> list[int]:
    return [number for number, n in counts.items() for _ in range(n)]


def test_ranks_are_those_of_scipy() -> None:
    control, nudge = {0: 60, 1: 30, 2: 10}, {0: 45, 1: 35, 5: 20}

    (text,) = robust_texts(of(control, nudge))

    expected = scipy.stats.mannwhitneyu(
        values(nudge), values(control), method="asymptotic", use_continuity=True
    )
    assert f"in {expected.statistic / 10_000:.0%} of pairs" in text
    assert f"Mann-Whitney p = {expected.pvalue:.3f}" in text
    assert "The medians are 1 and 0." in text


def test_one_learner_with_thousands_is_cut_at_the_percentile_of_all() -> None:
    # Cookie Cats has one player with 49,854 rounds.
    control, nudge = {0: 60, 1: 39, 49_854: 1}, {0: 40, 1: 60}

    _, text = robust_texts(of(control, nudge))

    cut = mean_difference(
        Moments.from_array(values({0: 60, 1: 40})), Moments.from_array(values(nudge))
    )
    assert text.startswith(
        "Quiz attempts within 7 days with numbers above 1 cut to it (percentile 99 of all arms): "
        f"a difference of {cut.value:+.2f} (95% interval +0.06"
    )


def test_the_percentile_is_that_of_the_protocol() -> None:
    control, nudge = {0: 60, 1: 30, 2: 10}, {0: 45, 1: 35, 5: 20}

    texts = robust_texts(of(control, nudge, cap_percentile=80.0))

    assert "with numbers above 1 cut to it (percentile 80" in texts[1]


@pytest.mark.parametrize(("control", "nudge"), [({}, {}), ({1: 1}, {2: 1}), ({0: 5}, {})])
def test_too_few_learners_have_no_such_reading(
    control: dict[int, int], nudge: dict[int, int]
) -> None:
    assert robust_texts(of(control, nudge)) == []
