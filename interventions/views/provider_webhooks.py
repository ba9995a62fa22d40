"""Reports of mail providers, read by the views of django-anymail.

We call the views ourselves instead of listening to anymail's signal: a request holds up to
thousands of events, and they are stored together.
"""

import logging
from typing import Any

from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from common.clock import utc_now
from common.database import is_outage
from interventions.operations import record_reports
from interventions.tracking.reports import Report, provider_key, report_of

SECONDS_UNTIL_AGAIN = 60

log = logging.getLogger(__name__)


# The proof is a signature or a login in the request itself.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def provider_webhook(request: HttpRequest, provider: str) -> HttpResponse:
    """Store what the provider reports. Some ask with GET or HEAD whether the address exists.

    Any answer but 200 means that nothing is acknowledged, and the provider sends it again.
    """
    path = settings.EMAIL_WEBHOOKS.get(provider)
    if path is None:
        raise Http404
    if request.method != "POST":
        return HttpResponse()
    if _length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        # Answered before anything is read.
        return _refused(413, "The report is too large.")
    view = import_string(path)(**_options(provider))
    view.setup(request)
    try:
        view.run_validators(request)
        reports = _reports(view.parse_events(request), provider=provider_key(view.esp_name))
    except AnymailWebhookValidationFailure as error:
        log.warning("A report of %s was refused: %s", provider, error)
        return _unproven()
    # Not in a form that anymail knows.
    except Exception:
        log.exception("A report of %s cannot be read", provider)
        return _refused(400, "The report cannot be read.")
    return _store(reports, provider)


def _length(request: HttpRequest) -> int:
    # Without a length the server passes no body on.
    given = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(given) if given.isdecimal() else 0


def _options(provider: str) -> dict[str, Any]:
    # A report that is signed needs no login besides.
    return {"webhook_secret": []} if provider in settings.SIGNED_EMAIL_WEBHOOKS else {}


def _store(reports: list[Report], provider: str) -> HttpResponse:
    try:
        record_reports(reports, now=utc_now())
    except (DatabaseError, InterfaceError) as error:
        if not is_outage(error):
            raise
        log.warning("The database is down during a report of %s: %s", provider, error)
        return _refused(503, "Please send it again.")
    return HttpResponse()


def _reports(events: Any, *, provider: str) -> list[Report]:
    # Mandrill reports mails to us over the same address.
    sent = (each for each in events if isinstance(each, AnymailTrackingEvent))
    found = (report_of(each, provider=provider) for each in sent)
    return [each for each in found if each is not None]


def _unproven() -> HttpResponse:
    response = _refused(401, "The login or the signature is missing or wrong.")
    # Amazon SNS sends its login only when it is asked for it.
    response["WWW-Authenticate"] = 'Basic realm="webhooks"'
    return response


def _refused(status: int, sentence: str) -> HttpResponse:
    response = HttpResponse(f"{sentence}\n", status=status, content_type="text/plain")
    if status == 503:
        response["Retry-After"] = str(SECONDS_UNTIL_AGAIN)
    return response
