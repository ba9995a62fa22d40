"""A mail that is written once, as bytes: a bad header fails before anything is claimed."""

from email.header import Header
from email.message import Message
from functools import cached_property
from typing import Any
from uuid import uuid4

from django.core.mail import BadHeaderError, EmailMultiAlternatives
from django.core.mail.message import SafeMIMEMultipart, forbid_multi_line_headers

from interventions.channels.mail_bytes import alternative_bytes, text_part

_CHARSET = "utf-8"
# The limit for a line with an encoded word. The word has at most 75 characters (RFC 2047, 2).
_LONGEST_LINE = 76


class _Parts(SafeMIMEMultipart):
    """Both texts of a mail, with headers that are safe already."""

    def add(self, name: str, value: str) -> None:
        """Add a header as it is."""
        Message.__setitem__(self, name, value)


class WrittenMail(EmailMultiAlternatives):
    """A mail of two texts, whose subject has encoded words that every mail server accepts."""

    # Sent along with the mail by backends of anymail.
    metadata: dict[str, str]

    def write(self) -> bytes:
        """Return the bytes that go over the wire. They are those of the message.

        It takes less time than a message object and its bytes.
        Raise BadHeaderError, a ValueError, if a header has a line break.
        """
        return self._bytes

    def message(self, **options: Any) -> Any:
        """Return the mail as the email package has it, for backends that need it so."""
        return self._message

    @cached_property
    def _bytes(self) -> bytes:
        return alternative_bytes(self._fields, self._boundary, self._texts)

    @cached_property
    def _message(self) -> SafeMIMEMultipart:
        written = _Parts("alternative", boundary=self._boundary, encoding=_CHARSET)
        for kind, text in self._texts:
            written.attach(text_part(text, kind))
        for name, value in self._fields:
            written.add(name, value)
        return written

    @cached_property
    def _boundary(self) -> str:
        # No text has it by chance, and it is so short that its header is one line.
        return f"=_{uuid4().hex[:26]}"

    @property
    def _texts(self) -> list[tuple[str, str]]:
        return [("plain", str(self.body)), ("html", str(self.alternatives[0][0]))]

    @cached_property
    def _fields(self) -> list[tuple[str, str]]:
        """The headers as Django would write them, apart from the subject."""
        fields = [("From", self.from_email), ("To", ", ".join(self.to))]
        if self.reply_to:
            fields.append(("Reply-To", ", ".join(self.reply_to)))
        fields += self.extra_headers.items()
        return [("Subject", _subject(str(self.subject))), *(_safe(*field) for field in fields)]


def _subject(subject: str) -> str:
    if "\n" in subject or "\r" in subject:
        raise BadHeaderError("The subject of a mail has newlines.")
    # Django's own subject has encoded words one character too long.
    return encoded_words(subject, "Subject")


def _safe(name: str, value: str) -> tuple[str, str]:
    if value.isascii() and value.isprintable():
        # Django would leave it unchanged.
        return name, value
    safe: tuple[str, str] = forbid_multi_line_headers(name, value, _CHARSET)
    return safe


def encoded_words(text: str, field: str) -> str:
    """Return the text as ASCII on one line, in encoded words that fit on folded header lines.

    `formataddr` alone would make one word of any length, which cannot be folded.
    """
    if text.isascii():
        return text
    lines = Header(text, "utf-8", maxlinelen=_LONGEST_LINE, header_name=field).encode(linesep="\n")
    return " ".join(line.strip() for line in lines.splitlines())
