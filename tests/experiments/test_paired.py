from itertools import product
from math import comb, inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from experiments.stats.paired import PairedCounts, mean_change, paired_score, rate_change
from experiments.stats.permutation import sign_flip_shift
from experiments.stats.sufficient import Moments

# Complete response before and after consolidation therapy: Cavo et al. (2012), table 8.2 of
# Fagerland, Lydersen and Laake (2017), Statistical Analysis of Contingency Tables. Their package
# contingencytables prints the results below.
CAVO = PairedCounts(both=59, gained=16, lost=6, neither=80)
# Additional hours of sleep of ten patients with one drug minus another: Student (1908).
SLEEP = (-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4)
# Cross-fertilised minus self-fertilised maize, in eighths of an inch: Darwin's, in Fisher (1935).
MAIZE = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)

SMALL = st.integers(0, 40)
TABLES = st.builds(PairedCounts, SMALL, SMALL, SMALL, SMALL).filter(lambda pairs: pairs.n >= 10)


def changes_of(values: tuple[float, ...]) -> Moments:
    return Moments.from_array(values)


def test_paired_rates_have_the_published_interval_and_test() -> None:
    found = rate_change(CAVO)

    assert found.value == pytest.approx(0.0621, abs=5e-5)
    assert (found.low, found.high) == pytest.approx((0.0054, 0.1240), abs=5e-5)
    assert found.p_value == pytest.approx(0.033006, abs=5e-7)
    assert found.statistic == pytest.approx(2.132, abs=5e-4)


@pytest.mark.slow
@given(TABLES)
def test_limits_of_paired_rates_are_where_the_test_stops_rejecting(pairs: PairedCounts) -> None:
    found, z = rate_change(pairs), stats.norm.ppf(0.975)

    assert -1 <= found.low <= found.value <= found.high <= 1
    for limit in (found.low, found.high):
        assert abs(limit) == 1 or abs(paired_score(pairs, limit)) == pytest.approx(z, abs=1e-6)
    assert found.excludes_zero == found.is_significant
    turned = PairedCounts(pairs.both, pairs.lost, pairs.gained, pairs.neither)
    assert rate_change(turned).low == pytest.approx(-found.high, abs=1e-9)
    if pairs.gained + pairs.lost:
        table = [[pairs.both, pairs.lost], [pairs.gained, pairs.neither]]
        other = mcnemar(table, exact=False, correction=False)
        assert found.p_value == pytest.approx(other.pvalue, rel=1e-9)


def test_score_of_paired_rates_uses_the_likeliest_rates_found_by_search() -> None:
    for change in (-0.3, -0.02, 0.05, 0.4):
        rates = np.linspace(max(0, -change) + 1e-9, (1 - change) / 2 - 1e-9, 200_001)
        likelihood = (
            CAVO.lost * np.log(rates)
            + CAVO.gained * np.log(rates + change)
            + (CAVO.both + CAVO.neither) * np.log(1 - 2 * rates - change)
        )
        q = rates[likelihood.argmax()]
        spread = sqrt(CAVO.n * (2 * q + change * (1 - change)))
        z = (CAVO.gained - CAVO.lost - CAVO.n * change) / spread
        assert paired_score(CAVO, change) == pytest.approx(z, rel=1e-4)


def test_paired_rates_differ_by_chance_as_rarely_as_promised() -> None:
    """Enumerate all tables of two equal rates, over the chance of a discordant pair."""
    most, z = 60, stats.norm.ppf(0.975)
    rejected = np.array(
        [
            sum(comb(m, k) for k in range(m + 1) if abs(2 * k - m) > z * sqrt(m)) / 2**m
            for m in range(most + 1)
        ]
    )
    chances = np.linspace(0.02, 0.9, 45)[:, None]

    def size(n: int) -> float:
        found = stats.binom.pmf(np.arange(n + 1), n, chances) @ rejected[: n + 1]
        return float(found.max())

    assert max(size(n) for n in range(10, most + 1)) <= 0.056
    # If all learners change, the test is the conditional one, which errs more often.
    assert rejected[10:].max() == pytest.approx(0.0784, abs=5e-5)
    assert rejected[4] == 0.125


@pytest.mark.parametrize("n", [10, 12, 25])
def test_interval_of_paired_rates_covers_the_truth(n: int) -> None:
    tables = [(up, down) for up in range(n + 1) for down in range(n + 1 - up)]
    found = {
        (up, down): rate_change(PairedCounts(0, up, down, n - up - down)) for up, down in tables
    }
    shares = []
    for gain, loss in product((0.02, 0.1, 0.2, 0.35, 0.5), repeat=2):
        truth = gain - loss
        covering = [pair for pair in tables if found[pair].low <= truth <= found[pair].high]
        chances = stats.multinomial.pmf(
            [(up, down, n - up - down) for up, down in covering], n, (gain, loss, 1 - gain - loss)
        )
        shares.append(float(np.sum(chances)))

    assert min(shares) >= 0.93
    assert np.mean(shares) >= 0.95


def test_paired_means_have_the_published_interval_and_test() -> None:
    found = mean_change(changes_of(SLEEP), draws=999)

    # R 4 prints t = -4.0621, df = 9, p-value = 0.002833, -2.4598858 -0.7001142.
    assert found.statistic == pytest.approx(-4.0621, abs=5e-5)
    t_low, t_high = stats.ttest_1samp(SLEEP, 0).confidence_interval()
    assert (t_low, t_high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    assert found.low <= t_low
    assert found.high >= t_high
    many = changes_of(tuple(np.random.default_rng(3).normal(0.2, 1, 400)))
    assert mean_change(many).p_value == pytest.approx(
        stats.ttest_1samp(np.random.default_rng(3).normal(0.2, 1, 400), 0).pvalue, rel=1e-9
    )


def test_sign_flips_find_as_many_samples_as_fisher_counted() -> None:
    """Of 32,768 ways, 863 have as large a sum: 5.267 % on both sides. Fisher (1935), section 21."""
    sums = np.array([np.dot(signs, MAIZE) for signs in product((1, -1), repeat=15)])
    changes = changes_of(MAIZE).frequencies

    assert np.count_nonzero(sums >= sum(MAIZE)) == 863
    assert sign_flip_shift(changes, draws=99_999).p_value == pytest.approx(0.05267, abs=0.002)
    assert stats.ttest_1samp(MAIZE, 0).pvalue == pytest.approx(0.0497, abs=5e-5)


def test_sign_flip_limits_are_where_the_test_stops_rejecting() -> None:
    subsets = [
        float(np.mean([value for value, turned in zip(MAIZE, chosen, strict=True) if turned]))
        for chosen in product((False, True), repeat=15)
        if any(chosen)
    ]
    low, high = np.quantile([-inf, *subsets], 0.025), np.quantile([*subsets, inf], 0.975)
    found = sign_flip_shift(changes_of(MAIZE).frequencies, draws=99_999)

    assert (found.low, found.high) == pytest.approx((low, high), abs=0.5)
    # Moved to a limit, the changes are just not distinguished from 0.
    moved = tuple(value - found.low + 0.5 for value in MAIZE)
    assert sign_flip_shift(changes_of(moved).frequencies).p_value < 0.06


def test_sign_flips_of_gains_and_losses_are_the_exact_test_of_mcnemar() -> None:
    changes = ((-1.0, CAVO.lost), (0.0, CAVO.both + CAVO.neither), (1.0, CAVO.gained))
    found = sign_flip_shift(changes, draws=99_999)

    # The exact conditional test, printed for this table as 0.052479.
    assert found.p_value == pytest.approx(0.052479, abs=0.002)
    exact = stats.binomtest(CAVO.lost, CAVO.lost + CAVO.gained).pvalue
    assert exact == pytest.approx(0.052479, abs=5e-7)


@pytest.mark.parametrize(
    ("values", "words"),
    [((1.0,) * 9, "fewer than 10"), ((0.0,) * 40, "the same for all"), ((2.0,) * 12, "the same")],
)
def test_changes_that_say_nothing_have_a_reason(values: tuple[float, ...], words: str) -> None:
    found = mean_change(changes_of(values))

    assert not found.has_interval
    assert words in found.reason


def test_too_few_pairs_have_no_interval() -> None:
    assert "fewer than 10" in rate_change(PairedCounts(1, 5, 0, 3)).reason
    assert "fewer than 10" in rate_change(PairedCounts(0, 0, 0, 0)).reason
