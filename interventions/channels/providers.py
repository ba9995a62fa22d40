"""Mail providers with an interface over HTTP, through django-anymail: repeats and refusals."""

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from anymail.backends.base_requests import AnymailRequestsBackend
from anymail.exceptions import AnymailAPIError, AnymailError
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from urllib3.exceptions import NewConnectionError

from interventions.channels.base import Answer, Result
from interventions.channels.retry_after import retry_after

MAX_DETAIL = 300
# These statuses concern all mail: the key, the account or the rate, not one message.
_OF_ALL_MAIL = frozenset({401, 402, 403, 407, 429, 503})
_NOT_READ = 408


def _in_request(backend: AnymailRequestsBackend, message: EmailMessage, key: str) -> None:
    # Each connection sends one message at a time, so the header of its session is that of the
    # message.
    del message
    backend.session.headers["Idempotency-Key"] = key


def _in_message(backend: AnymailRequestsBackend, message: EmailMessage, key: str) -> None:
    del backend
    message.extra_headers["idempotencyKey"] = key


# How each provider that can drop a repeat is told its key, by the name that anymail gives it.
# https://resend.com/docs/dashboard/emails/idempotency-keys
# https://developers.brevo.com/docs/heterogenous-versions-batch-emails
_KEYS: Mapping[str, Callable[[AnymailRequestsBackend, EmailMessage, str], None]] = {
    "Resend": _in_request,
    "Brevo": _in_message,
}


def name_repeats(backend: BaseEmailBackend | None, message: EmailMessage) -> None:
    """Tell the provider the message's key, if it can drop a repeat of it.

    The key is the part of the Message-ID before the host: the UUID of the delivery, which is the
    same in all attempts.
    """
    if isinstance(backend, AnymailRequestsBackend) and backend.esp_name in _KEYS:
        key = message.extra_headers.get("Message-ID", "").strip("<>").partition("@")[0]
        if key:
            _KEYS[backend.esp_name](backend, message, key)


def answer_of(error: AnymailError, message: EmailMessage) -> Answer:
    """Return what the error of a provider proves. An error that proves nothing means in doubt."""
    words = f"{type(error).__name__}: {error}"[:MAX_DETAIL]
    status = error.status_code
    if status is not None:
        return _of_status(status, words, error, message)
    if not isinstance(error, AnymailAPIError):
        # The message was refused before it was sent, such as for a recipient.
        return Answer(Result.REFUSED, words)
    return Answer(Result.CHANNEL_DOWN if _was_not_sent(error) else Result.IN_DOUBT, words)


def _of_status(status: int, words: str, error: AnymailError, message: EmailMessage) -> Answer:
    if status in _OF_ALL_MAIL:
        given = error.response.headers.get("Retry-After", "") if error.response is not None else ""
        wait = retry_after(given, now=_written_at(message))
        return Answer(Result.CHANNEL_DOWN, words, retry_after=wait)
    if status == _NOT_READ:
        return Answer(Result.NOT_ACCEPTED, words)
    if 400 <= status < 500:
        return Answer(Result.REFUSED, words)
    # A provider that fails may have accepted the message before.
    return Answer(Result.IN_DOUBT, words)


def _was_not_sent(error: AnymailAPIError) -> bool:
    """Return whether the connection was never made."""
    cause: Any = error.__cause__
    if isinstance(cause, requests.ConnectTimeout):
        return True
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    return isinstance(cause, requests.ConnectionError) and isinstance(reason, NewConnectionError)


def _written_at(message: EmailMessage) -> datetime:
    return parsedate_to_datetime(str(message.extra_headers["Date"]))
