"""The report pages, for staff who may view experiments."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.middleware import HtmxDetails

from activity.access import Viewer, for_user
from activity.switch import of_chosen
from activity.texts import with_courses
from common.clock import utc_now
from common.database import in_time
from common.dates import day_text
from experiments.models import Experiment
from experiments.protocol import ProtocolError
from experiments.queries import (
    MOST_COUNTED,
    KeptAnswer,
    clock_of,
    courses_of,
    experiments_with_sizes,
    kept_answer,
)
from experiments.queries import details as make_details
from experiments.queries import report as make_report
from experiments.reporting.details import Details
from experiments.reporting.facts import seen_titles, shared_zone
from experiments.reporting.file_rows import FILE_COLUMNS, file_rows
from experiments.reporting.report import Report
from experiments.views.context import report_context


@dataclass(frozen=True)
class ListRow:
    """An experiment in the list. Its answer is loaded when the row comes into view."""

    key: str
    name: str
    state: str
    has_started: bool


P = ParamSpec("P")
T = TypeVar("T")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
_PERMISSION = "experiments.view_experiment"
_PAGE_LENGTH = 50
# All statements of a report together. A million draws take some seconds.
LONGEST_SECONDS = 60


class TooLongError(Exception):
    """The report took too long. The message is a sentence."""


def _status(error: Exception) -> int:
    return 503 if isinstance(error, TooLongError) else 409


def refusal(error: Exception) -> HttpResponse:
    """Return the sentence of the error in place of a file."""
    text = "text/plain; charset=utf-8"
    return HttpResponse(str(error), status=_status(error), content_type=text)


def staff_report(view: View[P]) -> View[P]:
    """Show the page to staff who may view experiments. It is read-only and never cached."""
    allowed = permission_required(_PERMISSION, raise_exception=True)(view)
    return never_cache(require_safe(staff_member_required(allowed)))


@staff_report
def report_list(request: HttpRequest) -> HttpResponse:
    """Show the experiments of the chosen course. Each row loads its answer once it is in view."""
    # An answer reads all draws of its experiment, so the page does not compute them all at once.
    seen = of_chosen(experiments_with_sizes(viewer=request.user), request)
    pages = Paginator(seen, _PAGE_LENGTH)
    page = pages.get_page(request.GET.get("page"))
    context = {"page": page, "rows": [list_row(experiment) for experiment in page]}
    return render(request, "experiments/report_list.html", context)


@staff_report
def report_answer(request: HttpRequest, key: str) -> HttpResponse:
    """Show the answer of an experiment in one line, for its row in the list."""
    experiment = experiment_of(request, key)
    if not HtmxDetails(request):
        return redirect("experiments:report", key=key)
    return render(
        request, "experiments/report_answer.html", {"answer": _answer(experiment, request.user)}
    )


@staff_report
def report(request: HttpRequest, key: str) -> HttpResponse:
    """Show the report of an experiment, or that it has not started."""
    experiment = experiment_of(request, key)
    if not experiment.protocol:
        return render(
            request,
            "experiments/not_started.html",
            {"name": name_of(experiment, request.user), "key": key},
        )
    try:
        found, more = page_now(experiment, request.user)
    except (ProtocolError, TooLongError) as error:
        name, is_late = name_of(experiment, request.user), isinstance(error, TooLongError)
        context = {"name": name, "reason": error, "is_late": is_late}
        return render(request, "experiments/unreadable.html", context, status=_status(error))
    shown = report_context(request, experiment, found, more)
    return render(request, "experiments/report.html", shown)


@staff_report
def report_csv(request: HttpRequest, key: str) -> HttpResponse:
    """Send the report's numbers as a file. Before the start it holds only the header."""
    experiment = experiment_of(request, key)
    try:
        rows = list(file_rows(report_now(experiment, request.user))) if experiment.protocol else []
    except (ProtocolError, TooLongError) as error:
        return refusal(error)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{experiment.key}.csv"'
    writer = csv.writer(response, lineterminator="\n")
    writer.writerows([FILE_COLUMNS, *rows])
    return response


def list_row(experiment: Experiment) -> ListRow:
    """Return the row of an experiment of `experiments_with_sizes`. It runs no query."""
    playbook = experiment.segment.playbook if experiment.segment else experiment.playbook
    courses = list(playbook.courses.all()) if playbook else []
    zone = shared_zone(course.time_zone for course in courses)
    return ListRow(
        experiment.key,
        str(experiment),
        # A learner of two courses is drawn in each.
        _state(experiment, zone, "enrollment" if len(courses) > 1 else "learner"),
        bool(experiment.protocol),
    )


def _state(experiment: Experiment, zone: str, unit: str) -> str:
    if experiment.started_at is None:
        return "Draft"
    drawn: int = experiment.assigned  # type: ignore[attr-defined]
    learners = f"1 {unit} drawn" if drawn == 1 else f"{_number(drawn)} {unit}s drawn"
    ended = experiment.stopped_at
    since = f"since {day_text(experiment.started_at, zone=zone)}"
    until = f"stopped on {day_text(ended, zone=zone)}" if ended else f"running {since}"
    return f"{until[0].upper()}{until[1:]}, {learners}"


def _number(drawn: int) -> str:
    return f"{drawn:,}" if drawn <= MOST_COUNTED else f"more than {MOST_COUNTED:,}"


def experiment_of(request: HttpRequest, key: str) -> Experiment:
    """Return the experiment with the key, if the user may see it."""
    seen = for_user(Experiment.objects.all(), request.user)
    return get_object_or_404(seen.select_related("segment__playbook", "playbook"), key=key)


def report_now(experiment: Experiment, viewer: Viewer) -> Report:
    """Return the report of the experiment's clock. Raise TooLongError and ProtocolError."""
    return read_now(experiment, lambda as_of: make_report(experiment, as_of=as_of, viewer=viewer))


def page_now(experiment: Experiment, viewer: Viewer) -> tuple[Report, Details]:
    """Return the report with the details of its page, as `report_now` does."""

    def read(as_of: datetime) -> tuple[Report, Details]:
        found = make_report(experiment, as_of=as_of, viewer=viewer)
        return found, make_details(experiment, found, as_of=as_of, viewer=viewer)

    return read_now(experiment, read)


def read_now(experiment: Experiment, read: Callable[[datetime], T]) -> T:
    """Return what is read at the instant of the experiment's clock, in one transaction.

    Raise TooLongError if the database gives no answer in time.
    """
    as_of = clock_of(experiment, now=utc_now())
    found = in_time(lambda: read(as_of), seconds=LONGEST_SECONDS)
    if isinstance(found, str):
        raise TooLongError(found)
    return found


def name_of(experiment: Experiment, viewer: Viewer) -> str:
    """Return the experiment's name with the courses that the viewer may see."""
    return with_courses(experiment.name, seen_titles(courses_of(experiment, viewer=viewer)))


def _answer(experiment: Experiment, viewer: Viewer) -> KeptAnswer:
    if not experiment.protocol:
        return KeptAnswer("It has not started.", "")
    try:
        found = in_time(
            lambda: kept_answer(experiment, now=utc_now(), viewer=viewer), seconds=LONGEST_SECONDS
        )
    except ProtocolError as error:
        found = str(error)
    if isinstance(found, str):
        return KeptAnswer(f"The report cannot be shown. {found}", "")
    return found
