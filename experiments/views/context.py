"""All that the page of a report shows, as the context of its template."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from common.admin import list_url
from common.dates import day_text, instant_text
from experiments.models import DeliveryOutcome, Experiment
from experiments.reporting.adaptive.text import shares_text
from experiments.reporting.advice import advice
from experiments.reporting.answer import answers, first_result_text
from experiments.reporting.charts import Plot, plot_svg
from experiments.reporting.curves import (
    NARROW,
    WIDE,
    Step,
    curves_text,
    event_curves,
    event_curves_svg,
    over_time_svg,
    share_steps,
    shares_svg,
)
from experiments.reporting.details import Details
from experiments.reporting.drawn import expected_text
from experiments.reporting.facts import DeliveryCounts, Fate
from experiments.reporting.figures import level_text
from experiments.reporting.methods import methods
from experiments.reporting.page import OutcomeRow, all_counted_text, heading, outcome_rows
from experiments.reporting.quoting import quote_texts
from experiments.reporting.readings import reading_texts
from experiments.reporting.received import (
    ghosts_note,
    learner_rows,
    planned_numbers,
    received_rows,
)
from experiments.reporting.report import Report
from experiments.reporting.robust import robust_texts
from experiments.reporting.section_checks import never_found_texts
from experiments.reporting.sections import (
    balance_texts,
    before_rows,
    guard_texts,
    guards_note,
    mismatch_text,
    part_tables,
    reach_texts,
    staying_texts,
)
from experiments.reporting.stopping import any_time_texts, layer_text, plan_texts
from experiments.reporting.text import (
    cautions,
    draw_rows,
    draw_summary,
    no_relative_texts,
    number_rows,
)
from experiments.reporting.verdict import balance_text


def report_context(
    request: HttpRequest, experiment: Experiment, found: Report, more: Details
) -> dict[str, Any]:
    """Return all that the page of a report shows."""
    return {
        **_details(found, more),
        "experiment": experiment,
        "received": _received(request, experiment, found),
        "report": found,
        "heading": heading(found.facts),
        "answers": answers(found),
        "first_result": first_result_text(found),
        "all_counted": all_counted_text(found),
        "outcomes": _outcomes(found),
        "is_plotted": any(row.plot for row in outcome_rows(found)),
        "expected": expected_text(found),
        "alpha": f"{1 - found.facts.level:.2g}",
        "draw_summary": draw_summary(found),
        "advice": advice(found),
        "mismatch": mismatch_text(found),
        "balances": balance_texts(found),
        "balance": balance_text(found.balance),
        "guards": guard_texts(found),
        "guards_note": guards_note(found),
        "staying": staying_texts(found),
        "reach": list(reach_texts(found)),
        "cautions": [*any_time_texts(found), *cautions(found)],
        "plan": list(plan_texts(found)),
        "layer": layer_text(found, outside=more.outside),
        "methods": methods(found),
        "numbers": list(number_rows(found)),
        "quotes": list(quote_texts(found)),
        "no_relative": list(no_relative_texts(found)),
        "never_found": [] if found.is_withheld else never_found_texts(found),
        "draw": list(draw_rows(found)),
        "level": level_text(found.facts.level),
        "planned": planned_numbers(found),
        "learners": learner_rows(found),
        "ghosts_note": ghosts_note(found),
    }


def _outcomes(found: Report) -> list[tuple[str, list[tuple[OutcomeRow, SafeString | None]]]]:
    """Return the primary outcome, then the others, each row with its drawing if it has one."""
    rows = [(row, _svg(row.plot) if row.plot else None) for row in outcome_rows(found)]
    parts = [
        ("The primary outcome", [each for each in rows if each[0].is_primary]),
        ("Other outcomes", [each for each in rows if not each[0].is_primary]),
    ]
    return [part for part in parts if part[1]]


def _robust(found: Report) -> list[str]:
    """Return ranks and cut means, which compare whole arms learner by learner."""
    is_left_out = not found.facts.pools_learners or found.is_withheld
    return [] if is_left_out else robust_texts(found)


def _details(found: Report, more: Details) -> dict[str, Any]:
    unit = found.primary.metric.family.unit
    # Curves are of whole arms, which an adaptive draw does not compare.
    is_left_out = found.is_withheld or found.facts.is_adaptive
    results = [] if is_left_out else found.results
    curves = [(result, event_curves(result, found)) for result in results]
    return {
        "over_time": drawings(
            lambda width: over_time_svg(more.over_time, factor=unit.factor, width=width)
        ),
        "over_time_axis": unit.axis if unit.points else found.primary.metric.words,
        "event_curves": [
            (result.metric.name, _curvedrawings(steps), curves_text(result, found))
            for result, steps in curves
            if steps
        ],
        "standing_out": more.standing_out,
        "parts": part_tables(found, more),
        "before": before_rows(found, more),
        "strata": more.strata,
        "readings": [*reading_texts(found, more.readings), *_robust(found)],
        "deviations": [
            (instant_text(at, zone=found.facts.zone), what) for at, what in more.deviations
        ],
        "kept": [(place, day_text(at, zone=found.facts.zone)) for place, at in more.kept],
        "shares_over_time": drawings(lambda width: shares_svg(share_steps(found), width=width)),
        "shares_now": shares_text(found),
        "others": [arm for arm in found.arms if not arm.is_control],
    }


def _curvedrawings(steps: tuple[Step, ...]) -> list[tuple[str, SafeString]]:
    return drawings(lambda width: event_curves_svg(steps, width=width))


def drawings(draw: Callable[[int], str]) -> list[tuple[str, SafeString]]:
    """Return the class and the drawing for wide and for narrow windows; nothing if it is empty."""
    drawn = [("wide", draw(WIDE)), ("narrow", draw(NARROW))]
    # The drawing escapes its labels.
    return [(name, mark_safe(svg)) for name, svg in drawn if svg]  # noqa: S308


def _svg(plot: Plot) -> SafeString:
    # The plot has no text but the numbers of its axis.
    return mark_safe(plot_svg(plot))  # noqa: S308


def _received(
    request: HttpRequest, experiment: Experiment, found: Report
) -> list[tuple[str, list[tuple[DeliveryCounts, str]]]]:
    """Return the words of each fate, and per arm the counts and the address of their list."""
    rows = received_rows(found)
    if not rows or not request.user.has_perm("experiments.view_deliveryoutcome"):
        return [(row.words, [(cell, "") for cell in row.cells]) for row in rows]
    ids = dict(experiment.arms.values_list("key", "pk"))
    arms = [ids.get(arm.key, 0) for arm in found.arms]
    return [
        (row.words, [(n, _list_of(row.fate, arm)) for n, arm in zip(row.cells, arms, strict=True)])
        for row in rows
    ]


def _list_of(fate: Fate, arm_id: int) -> str:
    query = {"outcome__exact": fate.outcome, "assignment__arm__id__exact": arm_id}
    return list_url(DeliveryOutcome, query | ({"reason": fate.reason} if fate.reason else {}))
