"""What caused a message is said in the language of its text, or not at all."""

import re
from dataclasses import replace

import pytest
from django.utils import translation

from interventions.models import TemplateText
from interventions.operations import shipped_actions
from interventions.operations.actions import shipped_texts
from interventions.queries.drafts import Recipient, draft_of
from interventions.render.context import SAMPLE
from interventions.render.mail import Rendered, render_message
from interventions.render.short import render_short
from interventions.render.why import SENTENCES
from interventions.render.words import REASONS
from tests.factories import NOW
from tests.interventions.factories import make_delivery


def mail(body: str = "<p>Hello</p>", *, locale: str, **facts: object) -> Rendered:
    context = replace(SAMPLE, **facts)
    return render_message(subject="x", body=body, context=context, postal_address="", locale=locale)


@pytest.mark.parametrize("locale", ["de", "fr", "es", "nl"])
def test_the_reason_of_every_shipped_cadence_is_in_the_language_of_the_text(locale: str) -> None:
    reasons = {each["why_now"] for each in shipped_actions()}
    assert reasons <= {*REASONS}
    for reason in reasons:
        text = mail(locale=locale, reason=reason, reason_locale="en").text
        assert reason not in text
        with translation.override(locale):
            assert translation.gettext(reason) in text


def test_a_reason_of_staff_is_said_only_in_the_language_of_the_course() -> None:
    ours = {"reason": "je was er al even niet", "reason_locale": "nl"}

    assert "je was er" in mail(locale="nl-BE", **ours).text
    assert "je was er" in mail(locale="nl", **ours | {"reason_locale": "nl_BE"}).text
    assert "Sie haben 3 Videos von Module 3" in mail(locale="de", **ours).text
    assert "It comes now" not in mail(locale="it", **ours).text


def test_a_text_in_a_language_without_our_words_gets_no_english_ones() -> None:
    rendered = mail("<p>Ciao {{ why | default: 'a te' }}.</p>", locale="it", reason="")

    assert rendered.text.startswith("Ciao a te.")
    assert "you opened" not in rendered.text


@pytest.mark.django_db
def test_a_draft_says_it_in_the_language_of_its_text_on_every_channel() -> None:
    delivery = make_delivery()
    text = TemplateText(locale="nl", subject="x", body="<p>{{ why }}</p>")
    to = Recipient(delivery.learner, "x")

    draft = draft_of(delivery, text, to, SAMPLE, now=NOW)

    short = render_short(subject="x", body=text.body, context=draft.context)
    assert short.text.startswith("u hebt 3 video")
    assert draft.context.told_reason == "u bent al een week niet in de cursus geweest"


def test_the_mail_to_those_who_watch_calls_nothing_a_quiz_that_may_be_none() -> None:
    words = re.compile("quiz|cuestionario|test", re.IGNORECASE)
    glossary = replace(SAMPLE.next_item, title="Glossary of terms")

    for locale, (subject, body) in shipped_texts("try-the-quiz").items():
        text = render_message(
            subject=subject, body=body, postal_address="", locale=locale,
            context=replace(SAMPLE, next_item=glossary, signals={}, reason=""),
        ).text  # fmt: skip
        naming = [line for line in text.splitlines() if "Glossary" in line]
        assert len(naming) == 2
        assert not [line for line in naming if words.search(line)]


def test_what_a_learner_did_is_worded_for_women_and_men() -> None:
    with translation.override("fr"):
        told = " ".join(map(translation.gettext, SENTENCES))

    assert not re.search(r"\b(actif|venu|allé|inscrit)\b", told)
