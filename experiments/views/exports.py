"""The files of a report besides its numbers: the rows of learners, and the page itself."""

import logging
from pathlib import Path

from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET

from activity.rights import may_export
from experiments.exports.archive import zip_parts
from experiments.exports.hiding import HiddenError
from experiments.exports.page import alone
from experiments.protocol import ProtocolError
from experiments.queries import bundle_of
from experiments.views.context import report_context
from experiments.views.reports import (
    TooLongError,
    experiment_of,
    page_now,
    read_now,
    refusal,
    staff_report,
)

log = logging.getLogger(__name__)
_STYLES, _PRINT = ("site.css", "experiments/report.css"), ("print.css",)


@staff_report
def report_file(request: HttpRequest, key: str) -> HttpResponse:
    """Send the page of the report as one file that needs no other and asks nobody for anything."""
    experiment = experiment_of(request, key)
    try:
        found, more = page_now(experiment, request.user)
    except (ProtocolError, TooLongError) as error:
        return refusal(error)
    context = report_context(request, experiment, found, more) | {
        "page_base": "experiments/report_file.html",
        "styles": _text_of(_STYLES),
        "print_styles": _text_of(_PRINT),
    }
    response = HttpResponse(alone(render_to_string("experiments/report.html", context)))
    response["Content-Disposition"] = f'attachment; filename="{experiment.key}.html"'
    return response


# Not HEAD: the server would keep the rows that nobody fetches.
@require_GET
@staff_report
def report_rows(request: HttpRequest, key: str) -> HttpResponseBase:
    """Send the rows of the experiment with all that is needed to read them, as a zip file."""
    experiment, user = experiment_of(request, key), request.user
    if not may_export(user):
        raise PermissionDenied
    try:
        bundle = read_now(experiment, lambda as_of: bundle_of(experiment, as_of=as_of, viewer=user))
    except (HiddenError, ProtocolError, TooLongError) as error:
        return refusal(error)
    log.info("%s downloads the rows of the experiment %s", user.get_username(), experiment.key)
    return StreamingHttpResponse(
        zip_parts(bundle.files()),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{experiment.key}.zip"'},
    )


def _text_of(names: tuple[str, ...]) -> SafeString:
    """Return the style sheets one after the other. They are files of this project."""
    found = [finders.find(name) for name in names]
    texts = [Path(each).read_text("utf-8") for each in found if isinstance(each, str)]
    return mark_safe("\n".join(texts))  # noqa: S308
