"""The texts of a template: versions, and the choice of a language."""

import re
from dataclasses import replace

import pytest

from interventions.operations import check_texts, save_template, shipped_texts
from interventions.operations.actions import _TEXTS, shipped_text
from interventions.queries.texts import TextCache
from interventions.render.context import LACKING, SAMPLE
from interventions.render.mail import render_message
from tests.interventions.factories import make_template

pytestmark = pytest.mark.django_db


def test_saving_again_makes_a_version_and_keeps_the_old_texts() -> None:
    template = make_template()
    # The second press of somebody who saw no answer saves nothing new.
    for _ in range(2):
        texts = {"en": ("New", "<p>New</p>")}
        save_template(template.key, name="New", category=template.category, texts=texts)

    template.refresh_from_db()
    assert (template.version, template.name) == (2, "New")
    assert sorted(template.texts.values_list("version", "subject"))[1] == (2, "New")
    assert TextCache().choose(template, []).subject == "New"


@pytest.mark.parametrize(
    ("locales", "subject"),
    [
        (["fr", "pt"], "fr"),
        (["FR-ca", "pt"], "fr"),
        (["pt_BR"], "pt-br"),
        (["pt-PT"], "pt"),
        (["de", "pt"], "pt"),
        (["de", ""], "en"),
        (["", ""], "en"),
    ],
)
def test_the_text_is_the_learners_then_the_courses_then_english(
    locales: list[str], subject: str
) -> None:
    texts = {name: (name, "x") for name in ("en", "fr", "pt", "pt-br")}
    template = make_template(**texts)

    assert TextCache().choose(template, locales).subject == subject


MAILS = [
    path.stem for path in sorted(_TEXTS.glob("*.toml")) if "channel" not in shipped_text(path.stem)
]


@pytest.mark.parametrize("key", MAILS)
@pytest.mark.sampled(3)
def test_every_shipped_text_leads_somewhere_and_names_the_learner(key: str) -> None:
    texts = shipped_texts(key)
    check_texts(texts)

    for locale, (subject, body) in texts.items():
        for context in (SAMPLE, *LACKING.values()):
            mail = render_message(
                subject=subject, body=body, context=context, postal_address="", locale=locale
            )
            leads = bool(context.course_url or (context.next_item and context.next_item.url))
            assert ('target="_blank"' in mail.html) is leads
            assert not any(each in mail.text for each in (" ,", "..", " ."))


ONE = re.compile(r"\b1 (?:minutes|Minuten|minutos|minuten|modules sur)\b")


@pytest.mark.parametrize("key", MAILS)
def test_every_shipped_text_counts_one_as_one(key: str) -> None:
    assert SAMPLE.next_item is not None
    item = replace(SAMPLE.next_item, minutes=1)
    context = replace(SAMPLE, modules_completed=1, next_item=item)

    for locale, (subject, body) in shipped_texts(key).items():
        mail = render_message(
            subject=subject, body=body, context=context, postal_address="", locale=locale
        )
        assert not ONE.search(f"{mail.subject} {mail.text}")
