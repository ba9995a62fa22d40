"""An analysis as plain data for JSON, with null for a number that is not known. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any

from experiments.reporting.figures import Figures
from experiments.reporting.verdict import Verdict, verdict
from experiments.stats.balance import APPROXIMATE, Balance, usual_p_value
from experiments.stats.estimate import UNKNOWN
from experiments.stats.multiplicity import holm
from experiments.stats.randomization import Randomization
from experiments.terminal.analysis import Analysis, Cap, MetricAnalysis
from experiments.terminal.comparing import ArmResult

_NO_LIMIT = "there is no limit on one side"


def analysis_data(analysis: Analysis) -> dict[str, Any]:
    """Return the analysis as dicts and lists for JSON. Rates and lifts are shares, 0..1."""
    request, units = analysis.request, analysis.units
    found = {
        "arm_column": request.arm_column,
        "control": request.control,
        "level": request.level,
        "rows": units.rows,
        "arms": units.sizes,
        **units.left_out,
    }
    if units.sections is not None:
        found["sections"] = dict(analysis.drawn)
    return {
        **found,
        "sample_ratio": _sample_ratio(analysis),
        "metrics": [_metric_data(metric) for metric in analysis.metrics],
    }


def result_verdict(metric: MetricAnalysis, result: ArmResult, figures: Figures) -> Verdict:
    """Return the verdict of one comparison of the metric."""
    words = metric.kind.words(metric.request.columns, metric.outcomes[result.comparison.arm])
    outcome = f"{words} (adjusted)" if "unadjusted" in result.beside else words
    return verdict(
        result.comparison,
        outcome=outcome,
        figures=figures,
        corrected_p=result.holm,
        drawn_p=_deciding_draw(metric, result),
    )


def _deciding_draw(metric: MetricAnalysis, result: ArmResult) -> float | None:
    """Return the corrected p-value of the draw if sections are so few that only it is to decide."""
    found = result.beside.get("randomization test")
    if not isinstance(found, Randomization) or found.reason:
        return None
    if not result.comparison.difference.p_value < found.least:
        return None
    draws = [each.beside.get("randomization test") for each in metric.results]
    plain = [each.p_value if isinstance(each, Randomization) else UNKNOWN for each in draws]
    return holm(plain, planned=len(plain))[metric.results.index(result)]


def _sample_ratio(analysis: Analysis) -> dict[str, Any]:
    balance = analysis.balance
    return {
        "weights": dict(analysis.request.weights) or None,
        "expected": dict(zip(analysis.drawn, balance.expected, strict=True)),
        "p_value": _known(usual_p_value(balance)),
        "exact_p_value": _known(balance.p_value) if balance.test != APPROXIMATE else None,
        "state": str(Balance.MISMATCH if analysis.absent else balance.state),
        "absent": list(analysis.absent),
        "reason": balance.reason,
    }


def _metric_data(metric: MetricAnalysis) -> dict[str, Any]:
    figures = Figures.of([result.comparison for result in metric.results])
    found: dict[str, Any] = {"metric": metric.request.column, "kind": metric.kind.name}
    if metric.request.other:
        found["other"] = metric.request.other
    if metric.cap is not None:
        found["cap"] = _cap_data(metric.cap)
    return {
        **found,
        "arms": [
            {"arm": arm, **_clean(metric.kind.data(sums)), "left_out": metric.missing[arm]}
            for arm, sums in metric.outcomes.items()
        ],
        "comparisons": [_result_data(metric, result, figures) for result in metric.results],
    }


def _cap_data(cap: Cap) -> dict[str, Any]:
    return {
        "value": _known(cap.value),
        "percentile": cap.percentile,
        "arms": {
            arm: {
                "share_capped": _known(each.learners_share),
                "share_of_total_cut": _known(each.total_share),
                "reason": each.reason,
            }
            for arm, each in cap.arms.items()
        },
    }


def _result_data(metric: MetricAnalysis, result: ArmResult, figures: Figures) -> dict[str, Any]:
    comparison = result.comparison
    words = result_verdict(metric, result, figures)
    return {
        "arm": comparison.arm,
        "control": comparison.control,
        "difference": _data(comparison.difference),
        "relative": _data(comparison.relative),
        "holm_p_value": _known(result.holm),
        "finding": words.finding.value,
        "verdict": words.text,
        "withheld": bool(result.withheld),
        "notes": list(result.notes),
        **_clean(result.figures),
        "beside": {name: _data(found) for name, found in result.beside.items()},
    }


def _data(found: Any) -> dict[str, Any]:
    data = _clean(asdict(found))
    if any(value == float("inf") or value == -float("inf") for value in asdict(found).values()):
        data["reason"] = data["reason"] or _NO_LIMIT
    return data


def _clean(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _known(value) if isinstance(value, float) else value for name, value in values.items()
    }


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
