"""A mail is composed as Django does it, and written as the email package does it."""

import pytest
from django.core.mail import EmailMultiAlternatives
from hypothesis import given
from hypothesis import strategies as st

from interventions.channels.mail_bytes import mail_bytes
from interventions.channels.written_mail import WrittenMail

# Breaks of lines, a dot at the beginning, long lines, and text in any script.
TEXTS = st.text(st.sampled_from("a .-é漢\n\r\t=") | st.characters(codec="utf-8"), max_size=80)
WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=120)


@pytest.mark.slow
@given(subject=WORDS, text=TEXTS, html=TEXTS, times=st.sampled_from([1, 40]), value=WORDS)
def test_the_bytes_of_a_mail_are_those_of_the_email_package(
    subject: str, text: str, html: str, times: int, value: str
) -> None:
    mail = EmailMultiAlternatives(
        subject, text * times, "a@b.example", ["Ana <c@d.example>"], headers={"X-Word": value}
    )
    mail.attach_alternative(html * times, "text/html")
    message = mail.message()

    written = mail_bytes(message)

    assert written == message.as_bytes(linesep="\r\n")


# The first is written on the line of its name, and each other one below it.
@pytest.mark.parametrize("length", [58, 59, 60, 61, 62, 200, 900, 1200])
@pytest.mark.parametrize("inside", ["", " ", ";", ","])
def test_a_long_address_in_a_header_is_folded_like_the_email_package_does(
    length: int, inside: str
) -> None:
    address = f"<https://x.example/{inside}{'a' * (length - 20)}>"
    mail = EmailMultiAlternatives(
        "Hello", "Text", "a@b.example", ["c@d.example"], headers={"List-Unsubscribe": address}
    )
    mail.attach_alternative("<p>Text</p>", "text/html")
    message = mail.message()

    assert mail_bytes(message) == message.as_bytes(linesep="\r\n")


@pytest.mark.slow
@given(
    text=TEXTS.filter(bool),
    html=TEXTS,
    times=st.sampled_from([1, 40, 400]),
    value=WORDS.filter(bool),
)
def test_the_bytes_of_our_own_mail_are_those_of_the_email_package(
    text: str, html: str, times: int, value: str
) -> None:
    headers = {"X-Word": value, "List-Unsubscribe": f"<https://x.example/{'a' * times}>"}
    mail = WrittenMail(value, text * times, "a@b.example", ["c@d.example"], headers=headers)
    mail.attach_alternative(html * times, "text/html")

    written = mail.write()

    assert written == mail_bytes(mail.message()) == mail.message().as_bytes(linesep="\r\n")


@pytest.mark.parametrize("name", ["to", "from_email", "reply_to", "headers", "subject"])
@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r\nBcc: x@y.example"])
def test_a_line_break_in_any_header_is_refused(name: str, value: str) -> None:
    wrong = {"to": [value], "reply_to": [value], "headers": {"X-Word": value}}
    given = {"subject": "Hello", "from_email": "a@b.example", "to": ["c@d.example"]}
    mail = WrittenMail(body="Text", **given | {name: wrong.get(name, value)})
    mail.attach_alternative("<p>Text</p>", "text/html")

    for write in (mail.write, mail.message):
        with pytest.raises(ValueError, match="newlines"):
            write()


def test_a_mail_without_html_is_written_too() -> None:
    message = EmailMultiAlternatives(
        "Hello", "One\n.two\n", "a@b.example", ["c@d.example"]
    ).message()

    assert mail_bytes(message) == message.as_bytes(linesep="\r\n")


@pytest.mark.slow
@given(text=TEXTS.filter(bool), html=TEXTS, times=st.sampled_from([1, 40, 400]))
def test_a_mail_is_composed_as_django_composes_it(text: str, html: str, times: int) -> None:
    mail = WrittenMail(
        "Next in Statistics", text * times, "Statistics <a@b.example>", ["Ana <c@d.example>"],
        headers={"Message-ID": "<1@b.example>", "Date": "Wed, 22 Oct 2025 12:00:00 -0000"},
        reply_to=["t@b.example"],
    )  # fmt: skip
    mail.attach_alternative(html * times, "text/html")
    ours, of_django = mail.message(), EmailMultiAlternatives.message(mail)
    for each in (ours, of_django):
        each.set_boundary("boundary")

    assert ours.as_bytes(linesep="\r\n") == of_django.as_bytes(linesep="\r\n")
