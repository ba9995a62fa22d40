"""How each outcome was computed, in plain words with the term of the field in brackets. Pure."""

from experiments.reporting.report import MetricResult, Report
from experiments.reporting.staying import RULE
from experiments.reporting.text import hours_text
from experiments.stats.adaptive.comparison import NOT_BY_PERIOD
from experiments.stats.estimate import Estimate

# The tests and intervals by their names. A name that is not here is shown as it is.
_PLAIN = {
    "Boschloo exact": "an exact test for small arms or rare outcomes (Boschloo)",
    "inverted Boschloo": "all differences that this test does not rule out (inverted Boschloo)",
    "Boschloo exact, Berger-Boos": "an exact test for rare outcomes in larger arms (Boschloo, over "
    "plausible rates only: Berger-Boos)",
    "inverted Boschloo, Berger-Boos": "all differences that this test does not rule out (inverted "
    "Boschloo, Berger-Boos)",
    "score": "a test of two shares (score)",
    "Miettinen-Nurminen score": "all differences that this test does not rule out "
    "(Miettinen-Nurminen)",
    "Welch t": "a comparison of two means whose spreads may differ (Welch t)",
    "permutation and Welch t": "drawing the arms anew many times, and a comparison of two means "
    "whose spreads may differ (permutation and Welch t)",
    "delta method, Welch t": "a comparison of two ratios of totals, with learners as the units "
    "(delta method, Welch t)",
    "restricted mean t": "a comparison of mean times up to the end of the time (restricted mean)",
    "Lin's adjustment, HC2": "a comparison of two means, adjusted for the time before the draw "
    "(Lin's adjustment, HC2)",
    "CRV3, t of sections": "a comparison in which sections are the units, each left out once "
    "(CRV3, t of sections)",
    "regression, CRV3, t of sections": "a comparison adjusted for the time before the draw, in "
    "which sections are the units, each left out once (regression, CRV3, t of sections)",
    "score by period": "a test of two shares among learners drawn by the same shares, all periods "
    "together (score by period)",
    "score by period, weights of equal variance": "all differences that this test does not rule "
    "out",
}


def methods(report: Report) -> list[str]:
    """Return each metric's window, test and interval, and when a comparison is withheld."""
    rule = [RULE] if report.staying else []
    return [*(_method(report, result) for result in report.results), *rule]


def _method(report: Report, result: MetricResult) -> str:
    rows = [row for row in result.rows if not report.withheld_reason(row.arm)]
    differences = [row.comparison.difference for row in rows]
    ways = sorted({_way(each) for each in differences if each.has_interval})
    window = f"counted for exactly {hours_text(result.metric.window)}"
    not_compared = "Not compared." if report.is_final else "Not compared yet."
    none = not_compared if rows else "Its comparison is withheld."
    if any(each.reason == NOT_BY_PERIOD for each in differences):
        none = f"Not compared: {NOT_BY_PERIOD}."
    notes = dict.fromkeys(each.note for each in differences if each.note)
    return f"{result.metric.name}: {window}. {' '.join([*(ways or [none]), *notes])}"


def _way(difference: Estimate) -> str:
    test, method = (_PLAIN.get(name, name) for name in (difference.test, difference.method))
    if test == method:
        return f"Test and interval: {test}."
    return f"Test: {test}; interval: {method}."
