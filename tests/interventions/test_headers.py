"""Names and subjects in any script, as bytes over SMTP."""

import re
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest

from activity.models import Course, Learner
from interventions.models import Category
from interventions.render.names import full_name
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW, make_learner
from tests.faulty_smtp import FaultySmtp, serve
from tests.interventions.factories import (
    make_cadence,
    make_category,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_template,
)

pytestmark = pytest.mark.django_db

# RFC 2047, section 2.
LONGEST_WORD = 75
LONGEST_LINE = 76

NAMES = {
    "Thai of 31 characters": "สมชาย ใจดีมากที่สุดในโลกนี้นะคร",
    "Arabic of 38 characters": "محمد بن عبد الرحمن بن عبد العزيز آل سع",
    "Chinese without a space": "漢字" * 40,
    "Greek with quotes and commas": 'Ελένη "Λένα", (Παπαδοπούλου); ' * 4 + "Ω",
    "emoji outside the first plane": "👩‍🏫" * 30,
    "one accent in many words": "Zoë " + "of the house of long names " * 4 + "Ünal",
    "short": "Zoë",
    "quoted ASCII": 'Doe, Jane "JD" (she)',
    "ASCII": "Ana Ng",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.sampled(2)
def test_names_in_headers_are_encoded_in_short_words_and_come_back(settings, name: str) -> None:
    category = make_category()
    words = "For {{ learner.name | default: 'you' }}"
    template = make_template(category, en=(words, "<p>Hello.</p>"))
    course = make_live_course(title=name)
    make_delivery(make_evaluated(course, make_learner(name=name)), make_cadence(template=template))
    with serve(FaultySmtp()) as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        assert dispatch_due(clock=lambda: NOW) == {"handed_off": 1}
    (_, mail), *_ = sink.accepted

    for field in ("From", "To", "Subject"):
        lines = f"{field}: {dict(mail.raw_items())[field]}".splitlines()
        for word in re.findall(r"=\?\S+\?=", "\n".join(lines)):
            assert len(word) <= LONGEST_WORD
        assert all(len(line) <= LONGEST_LINE for line in lines if "=?" in line)
        assert all(line.isascii() and line.strip() for line in lines)
    assert decoded(parseaddr(unfolded(mail["From"]))[0]) == name
    assert decoded(parseaddr(unfolded(mail["To"]))[0]) == full_name(name)
    assert decoded(unfolded(mail["Subject"])) == f"For {full_name(name)}"


def unfolded(value: str) -> str:
    return re.sub(r"\r?\n", "", value)


def decoded(value: str) -> str:
    # Not with the newer parser, which keeps the space between encoded words up to Python 3.12.
    return str(make_header(decode_header(value)))


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x0b", "\u2028", "\x85"], ids=repr)
@pytest.mark.sampled(3)
def test_no_name_and_no_subject_starts_another_header(settings, break_: str) -> None:
    evil = f"Bo{break_}Bcc: all@example.org{break_}{break_}<b>body</b>"
    template = make_template(
        en=("{{ learner.name | default: 'x' }} {{ course.title }}", "<p>x</p>")
    )
    delivery = make_delivery(make_evaluated(), make_cadence(template=template))
    # Past every check of the roster, as an import of a backup would write it.
    Learner.objects.update(name=evil)
    Course.objects.update(title=evil)
    Category.objects.update(list_id=evil)

    with serve(FaultySmtp()) as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        assert dispatch_due(clock=lambda: NOW) == {"handed_off": 1}
    (recipients, mail), *_ = sink.accepted

    assert mail["Bcc"] is None
    assert delivery.learner.email in str(recipients)
    assert "all@" not in str(recipients)
    assert mail.get_content_type() == "multipart/alternative"
    html = mail.get_payload()[1].get_payload(decode=True).decode()
    assert "<b>body</b>" not in html


def test_an_address_for_replies_with_a_break_costs_that_one_message(settings) -> None:
    cadence = make_cadence()
    evil, _ = (make_delivery(make_evaluated(make_live_course()), cadence) for _ in range(2))
    Course.objects.filter(pk=evil.enrollment.course_id).update(
        contact_email="a@b.example\nBcc: x@y.z"
    )
    with serve(FaultySmtp()) as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = sink.host, sink.port
        assert dispatch_due(clock=lambda: NOW) == {"handed_off": 1, "failed": 1}

    evil.refresh_from_db()
    assert (evil.state, evil.reason) == ("failed", "render_error")
