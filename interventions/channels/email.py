"""Email through any Django backend. Each answer claims only what the attempt has proven."""

import re
import smtplib
from typing import Any

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from interventions.channels.base import Answer, Channel, ChannelDownError, Result
from interventions.channels.mail import compose_mail, mail_address, preview_mail, show_mail
from interventions.channels.providers import answer_of, name_repeats
from interventions.channels.smtp import Stage, StagedBackend
from interventions.render.features import Feature
from interventions.render.mail import check_message
from interventions.tracking.reports import provider_id

MAX_DETAIL = 300

# We use our own version of this backend, which also reports how far a mail came.
DJANGO_SMTP = "django.core.mail.backends.smtp.EmailBackend"

# Errors that are raised before the mail is sent, whatever their code.
_BEFORE_THE_MAIL = (
    smtplib.SMTPConnectError,
    smtplib.SMTPHeloError,
    smtplib.SMTPAuthenticationError,
)
# "Service not available, closing": RFC 5321 allows it as the reply to any command.
_CLOSING = 421
# With the four codes for a missing login (RFC 4954), these replies concern all mail, not one
# recipient.
_OF_ALL_MAIL = (_CLOSING, 530, 534, 535, 538)
# Providers answer so when mails come too fast, such as "454 4.7.0 Throttling failure".
_OF_POLICY = re.compile(r"\b4\.7\.\d")
# The size is sent with the sender (RFC 1870), so this reply refuses the message, not the sender.
_TOO_LARGE = 552


class EmailConnection:
    """A connection to the mail server, kept for a whole dispatch loop."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def open(self) -> None:
        """Connect if needed. A connection closed by the server is noticed when sending."""
        if self._connection is not None:
            return
        connection = _new_connection()
        try:
            connection.open()
        except (OSError, smtplib.SMTPException) as error:
            raise ChannelDownError(_words(error)) from error
        self._connection = connection

    def send(self, message: EmailMultiAlternatives) -> Answer:
        """Send one mail over the open connection.

        A server may close a connection at any time, for example after a hundred mails. If it was
        closed before the mail began, it is opened again once.
        """
        answer, found_closed = self._attempt(message)
        if not found_closed:
            return answer
        try:
            self.open()
        except ChannelDownError as error:
            return Answer(Result.CHANNEL_DOWN, str(error))
        return self._attempt(message)[0]

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (OSError, smtplib.SMTPException):
                # The connection is closed in any case, and no mail depends on it.
                return

    def _attempt(self, message: EmailMultiAlternatives) -> tuple[Answer, bool]:
        """Return the answer, and whether the connection was already closed."""
        if self._connection is None:
            return Answer(Result.CHANNEL_DOWN, "there is no connection"), False
        try:
            name_repeats(self._connection, message)
            sent = self._connection.send_messages([message])
        # No error of a backend may end the loop. The result of an unknown error is in doubt.
        except Exception as error:  # noqa: BLE001
            stage = self._connection.stage if isinstance(self._connection, StagedBackend) else None
            answer = _answer_to(error, stage, message)
            if answer.stops_the_channel:
                self._abandon()
            return answer, _found_closed(error, stage)
        if not sent:
            return Answer(Result.IN_DOUBT, "nothing sent"), False
        return Answer(Result.HANDED_OFF, provider_id=self._provider_id(message)), False

    def _provider_id(self, message: EmailMultiAlternatives) -> str:
        """Return the id that the provider gave the mail. Only backends of anymail know one."""
        name = getattr(self._connection, "esp_name", "")
        given = getattr(getattr(message, "anymail_status", None), "message_id", None)
        is_known = bool(name) and isinstance(given, str | int)
        return provider_id(str(name), str(given)) if is_known else ""

    def _abandon(self) -> None:
        # After such an error the state of the connection is not known.
        if isinstance(self._connection, StagedBackend):
            self._connection.abandon()
        self.close()


def _answer_to(error: Exception, stage: Stage | None, message: EmailMultiAlternatives) -> Answer:
    if isinstance(error, AnymailError):
        return answer_of(error, message)
    return classify(error, stage)


def classify(error: Exception, stage: Stage | None) -> Answer:
    """Return the answer that an error proves. An error that proves nothing means in doubt.

    `stage` is how far the mail had come, or None if the backend does not report it.
    """
    words = _words(error)
    if isinstance(error, smtplib.SMTPNotSupportedError | UnicodeError):
        return Answer(Result.REFUSED, words)
    if isinstance(error, _BEFORE_THE_MAIL):
        return Answer(Result.CHANNEL_DOWN, words)
    code = _code(error)
    if code is not None:
        return Answer(_refusal(code, error), words, asks_for_less=_asks_for_less(code, words))
    if stage is None or stage is Stage.END:
        return Answer(Result.IN_DOUBT, words)
    # From the stage DATA on, the mail itself may be the cause.
    return Answer(Result.CHANNEL_DOWN, words, may_be_the_message=stage >= Stage.DATA)


def _refusal(code: int, error: Exception) -> Result:
    """Return whether the reply refuses all mail, this mail for now, or this mail for good."""
    if isinstance(error, smtplib.SMTPSenderRefused) and code != _TOO_LARGE:
        return Result.CHANNEL_DOWN
    if code in _OF_ALL_MAIL:
        return Result.CHANNEL_DOWN
    return Result.NOT_ACCEPTED if code < 500 else Result.REFUSED


def _asks_for_less(code: int, words: str) -> bool:
    """Return whether the reply is about the rate of mails: 421, or a status of 4.7 (RFC 3463)."""
    return code == _CLOSING or (code < 500 and _OF_POLICY.search(words) is not None)


def _code(error: Exception) -> int | None:
    """Return the code of the server's refusal of sender, recipient or message, or None."""
    code: Any = None
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        # One mail has one recipient.
        code = next((reply[0] for reply in error.recipients.values()), None)
    elif isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        code = error.smtp_code
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _found_closed(error: Exception, stage: Stage | None) -> bool:
    """Return whether the server closed the connection before it read any of the mail."""
    if stage is None or stage > Stage.MAIL:
        return False
    if isinstance(error, smtplib.SMTPSenderRefused):
        return error.smtp_code == _CLOSING
    # After a timeout, a second attempt would only wait again.
    hung = isinstance(error.__context__, TimeoutError)
    return isinstance(error, smtplib.SMTPServerDisconnected) and not hung


def _new_connection() -> BaseEmailBackend:
    if settings.EMAIL_BACKEND == DJANGO_SMTP:
        return StagedBackend()
    return get_connection()


def _connections() -> int:
    # Only a server that mail goes to over the network gains from more, and other backends may use
    # the database.
    return max(settings.EMAIL_CONNECTIONS, 1) if settings.EMAIL_BACKEND == DJANGO_SMTP else 1


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_DETAIL]


EMAIL = Channel(
    verb="EMAIL_SENT",
    address=mail_address,
    compose=compose_mail,
    show=show_mail,
    check=check_message,
    preview=preview_mail,
    connect=EmailConnection,
    supports=frozenset(Feature),
    is_mail=True,
    connections=_connections,
    per_second=lambda: settings.EMAIL_PER_SECOND,
)
