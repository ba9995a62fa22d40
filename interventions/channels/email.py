"""Email through any Django backend. Says of every attempt what is proven, and no more."""

import smtplib
from email.utils import format_datetime, formataddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from common.addresses import deliverable
from interventions.outgoing import Answer, ChannelDownError, Outgoing, Result

MAX_DETAIL = 300

# Raised before the message itself is handed over, whatever their code.
_BEFORE_DATA = (
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPAuthenticationError,
)


class EmailChannel:
    """Sends over one connection, kept for a whole dispatch loop."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def prepare(self, outgoing: Outgoing) -> EmailMultiAlternatives:
        """Return the mail. Raise ValueError where a header cannot be written."""
        mail = EmailMultiAlternatives(
            subject=outgoing.subject,
            body=outgoing.text,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[settings.EMAIL_REDIRECT_TO or _recipient(outgoing)],
            headers=_headers(outgoing),
        )
        mail.attach_alternative(outgoing.html, "text/html")
        # Writing it once shows a bad header now, while nothing is claimed yet.
        mail.message()
        return mail

    def open(self) -> None:
        """Have a connection that answers. A used one may have been closed by the server since."""
        if self._connection is not None and _is_dead(self._connection):
            self.close()
        if self._connection is None:
            connection = get_connection()
            try:
                connection.open()
            except (OSError, smtplib.SMTPException) as error:
                raise ChannelDownError(_words(error)) from error
            self._connection = connection

    def send(self, prepared: EmailMultiAlternatives) -> Answer:
        """Send one mail over the open connection."""
        if self._connection is None:
            return Answer(Result.NOT_ACCEPTED, "there is no connection")
        try:
            sent = self._connection.send_messages([prepared])
        # Whatever else a backend raises must not end the loop: it is in doubt, and kept as such.
        except Exception as error:  # noqa: BLE001
            # After an error nobody knows what the connection would answer to.
            self.close()
            return classify(error)
        return Answer(Result.HANDED_OFF) if sent else Answer(Result.IN_DOUBT, "nothing was sent")

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (OSError, smtplib.SMTPException):
                # It is closed either way; there is nothing to lose on it.
                return


def classify(error: Exception) -> Answer:
    """Return what an error in sending proves. What proves nothing is in doubt."""
    if isinstance(error, smtplib.SMTPNotSupportedError | UnicodeError):
        return Answer(Result.REFUSED, _words(error))
    if isinstance(error, _BEFORE_DATA):
        return Answer(Result.NOT_ACCEPTED, _words(error))
    code = _code(error)
    if code is None:
        return Answer(Result.IN_DOUBT, _words(error))
    return Answer(Result.NOT_ACCEPTED if code < 500 else Result.REFUSED, _words(error))


def _code(error: Exception) -> int | None:
    """Return the code with which the server refused sender, recipient or message, if it did."""
    code: Any = None
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # One mail has one recipient.
        code = next((reply[0] for reply in error.recipients.values()), None)
    elif isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        code = error.smtp_code
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _recipient(outgoing: Outgoing) -> str:
    return formataddr((outgoing.name, deliverable(outgoing.address)))


def _headers(outgoing: Outgoing) -> dict[str, str]:
    headers = {
        "Message-ID": outgoing.message_id,
        "Date": format_datetime(outgoing.written_at),
        "List-ID": outgoing.list_id,
        "List-Unsubscribe": f"<{outgoing.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
    }
    if settings.EMAIL_REDIRECT_TO:
        headers["X-Redirected-From"] = outgoing.address
    return headers


def _is_dead(backend: BaseEmailBackend) -> bool:
    # Only Django's SMTP backend keeps a connection that a server can close behind our back.
    connection = getattr(backend, "connection", None)
    if not isinstance(connection, smtplib.SMTP):
        return False
    try:
        return connection.noop()[0] != 250
    except (OSError, smtplib.SMTPException):
        return True


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_DETAIL]
