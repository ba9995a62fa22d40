"""The page of a report as it was kept on a day."""

from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from common.dates import instant_text
from experiments.queries import courses_of
from experiments.queries.snapshots import snapshot_at
from experiments.reporting.facts import shared_zone
from experiments.views.reports import experiment_of, name_of, staff_report

# The columns of the file that the page shows, with their headings.
SHOWN = {
    "metric": "Outcome",
    "arm": "Arm",
    "counted": "Counted",
    "rate_or_mean": "Rate or mean",
    "lift": "Difference",
    "low": "Lower limit",
    "high": "Upper limit",
    "p_value": "p",
}


@staff_report
def report_snapshot(request: HttpRequest, key: str, position: int) -> HttpResponse:
    """Show what the report said and its numbers as they were kept in the ledger."""
    experiment = experiment_of(request, key)
    kept = snapshot_at(experiment, position)
    if kept is None:
        raise Http404
    zone = shared_zone(c.time_zone for c in courses_of(experiment, viewer=request.user))
    places = [(heading, kept.columns.index(name)) for name, heading in SHOWN.items()]
    context = {
        "experiment": experiment,
        "name": name_of(experiment, request.user),
        "as_of": instant_text(datetime.fromisoformat(kept.as_of), zone=zone),
        "said": kept.said,
        "headings": [heading for heading, _ in places],
        "rows": [[_short(row[place]) for _, place in places] for row in kept.rows],
    }
    return render(request, "experiments/snapshot.html", context)


def _short(cell: str) -> str:
    """Return a number with four digits after the point; the file has all of them."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return cell if number.is_integer() and "." not in cell else f"{number:.4f}"
