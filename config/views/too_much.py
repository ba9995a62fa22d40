"""The page that answers a form of more than the site reads."""

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.views import defaults
from django_htmx.middleware import HtmxDetails

# What is still coming in is read and forgotten up to here.
MOST_READ = 100 * 1024 * 1024
_PIECE = 64 * 1024


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that cannot be read. One that is too large gets a page with the limit."""
    said = _limit(exception)
    if not said:
        return defaults.bad_request(request, exception)
    _read_on(request)
    # A script of the page shows the sentence beside what was typed, and keeps the page.
    if HtmxDetails(request):
        return HttpResponse(said, status=413, content_type="text/plain; charset=utf-8")
    return render(request, "413.html", {"said": said}, status=413)


def _limit(exception: Exception) -> str:
    if isinstance(exception, RequestDataTooBig):
        size = filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        return f"The texts of a form may have {size} together, and these have more."
    if isinstance(exception, TooManyFieldsSent):
        fields = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
        return f"A form may have {fields:,} fields, and this one has more."
    if isinstance(exception, TooManyFilesSent):
        return f"A form may send {settings.DATA_UPLOAD_MAX_NUMBER_FILES:,} files at once."
    return ""


def _read_on(request: HttpRequest) -> None:
    """Read the rest of the request. A browser that cannot send it to its end shows no answer."""
    read = 0
    while read < MOST_READ and (piece := request.read(_PIECE)):
        read += len(piece)
