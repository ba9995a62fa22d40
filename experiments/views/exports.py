"""The files of a report besides its numbers: the rows of learners, and the page itself."""

import logging

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from activity.rights import may_export
from experiments.exports.archive import zip_parts
from experiments.exports.hiding import HiddenError
from experiments.protocol import ProtocolError
from experiments.queries import bundle_of
from experiments.views.reports import TooLongError, experiment_of, read_now, refusal, staff_report

log = logging.getLogger(__name__)


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
