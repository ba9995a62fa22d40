"""Links of messages that lead through this site."""

import logging
import time
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import translation
from django.utils.translation import get_language_from_request
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from common.clock import utc_now
from common.database import is_outage
from interventions import operations
from interventions.render.tracked import read_click
from interventions.tracking.machines import is_program
from interventions.tracking.reports import Report, click_of
from interventions.views.learner_pages import broken_link

# While the database does not answer, each try could occupy a thread for seconds.
SECONDS_WITHOUT_TRYING = 10.0

log = logging.getLogger(__name__)


class _Breaker:
    """Remembers that the database was down a moment ago."""

    until = 0.0

    def is_open(self) -> bool:
        return time.monotonic() < self.until

    def open(self) -> None:
        self.until = time.monotonic() + SECONDS_WITHOUT_TRYING


breaker = _Breaker()


class _CountedRedirect(HttpResponseRedirect):
    """A redirect that stores the click after the server has sent the answer."""

    click: Report | None = None

    def close(self) -> None:
        """Store the click, then end the request."""
        click, self.click = self.click, None
        if click is not None:
            _store(click)
        super().close()


@never_cache
@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """Lead to the address in the signed token, and note the click.

    No query comes before the answer, so the link works while the database is down.
    """
    link = read_click(token)
    if link is None:
        with translation.override(get_language_from_request(request)):
            return broken_link()
    response = _CountedRedirect(link.address)
    user_agent = request.headers.get("User-Agent", "")
    response.click = click_of(
        link.delivery_key,
        link.address,
        at=utc_now(),
        user_agent=user_agent,
        is_machine=is_program(user_agent, method=str(request.method)),
    )
    # The target must not learn the token.
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex"
    return response


def _store(found: Report) -> None:
    """Store the click, or drop it if the database does not answer."""
    if breaker.is_open():
        return
    try:
        operations.record_click(found, now=utc_now())
    # The answer is sent already, and no error may end the server's thread.
    except Exception as error:  # noqa: BLE001
        _drop(error)


def _drop(error: Exception) -> None:
    details: dict[str, Any] = {}
    if is_outage(error):
        breaker.open()
        connection.close()
    else:
        details = {"exc_info": error}
    log.warning("A click was dropped: %s", error, **details)
