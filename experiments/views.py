"""The report pages, for users who may view experiments."""

import csv
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import for_user
from common.clock import utc_now
from experiments.models import DeliveryOutcomeKind, Experiment
from experiments.protocol import ProtocolError
from experiments.queries import clock_of, experiments_with_sizes
from experiments.queries import report as make_report
from experiments.reporting.charts import NARROW, WIDE, interval_svg, report_panels
from experiments.reporting.figures import level_text
from experiments.reporting.report import Report
from experiments.reporting.text import (
    CSV_COLUMNS,
    cautions,
    csv_rows,
    delivery_rows,
    draw_rows,
    draw_summary,
    ghosts_note,
    methods,
    number_rows,
)
from experiments.reporting.verdict import balance_text

_PERMISSION = "experiments.view_experiment"


@never_cache
@require_safe
@login_required
@permission_required(_PERMISSION, raise_exception=True)
def report_list(request: HttpRequest) -> HttpResponse:
    """Show all experiments with the number of learners drawn."""
    context = {"experiments": experiments_with_sizes(viewer=request.user)}
    return render(request, "experiments/report_list.html", context)


@never_cache
@require_safe
@login_required
@permission_required(_PERMISSION, raise_exception=True)
def report(request: HttpRequest, key: str) -> HttpResponse:
    """Show the report of an experiment, or that it has not started."""
    experiment = _experiment(request, key)
    if not experiment.protocol:
        return render(request, "experiments/not_started.html", {"experiment": experiment})
    try:
        found = _report_now(experiment)
    except ProtocolError as error:
        context = {"experiment": experiment, "reason": error}
        return render(request, "experiments/unreadable.html", context, status=409)
    return render(request, "experiments/report.html", _context(experiment, found))


@never_cache
@require_safe
@login_required
@permission_required(_PERMISSION, raise_exception=True)
def report_csv(request: HttpRequest, key: str) -> HttpResponse:
    """Send the report's numbers as a file. Before the start it holds only the header."""
    experiment = _experiment(request, key)
    try:
        rows = list(csv_rows(_report_now(experiment))) if experiment.protocol else []
    except ProtocolError as error:
        return HttpResponse(str(error), status=409, content_type="text/plain; charset=utf-8")
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{experiment.key}.csv"'
    writer = csv.writer(response, lineterminator="\n")
    writer.writerows([CSV_COLUMNS, *rows])
    return response


def _experiment(request: HttpRequest, key: str) -> Experiment:
    seen = for_user(Experiment.objects.all(), request.user)
    return get_object_or_404(seen.select_related("segment__playbook", "playbook"), key=key)


def _report_now(experiment: Experiment) -> Report:
    return make_report(experiment, as_of=clock_of(experiment, now=utc_now()))


def _context(experiment: Experiment, found: Report) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "report": found,
        "draw_summary": draw_summary(found),
        "balance": balance_text(found.balance),
        "cautions": cautions(found),
        "methods": methods(found),
        "numbers": list(number_rows(found)),
        "draw": list(draw_rows(found)),
        "level": level_text(found.facts.level),
        "deliveries": delivery_rows(found, words=dict(DeliveryOutcomeKind.choices)),
        "ghosts_note": ghosts_note(found),
        "plots": _plots(found),
    }


def _plots(found: Report) -> list[dict[str, str]]:
    panels = report_panels(found)
    if not panels:
        return []
    # The drawing library escapes every label, so its SVG is safe to embed.
    return [
        {"size": size, "svg": mark_safe(interval_svg(panels, width=width))}  # noqa: S308
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    ]
