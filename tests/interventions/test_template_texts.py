"""The texts of a template: versions, and the choice of a language."""

import pytest

from interventions.operations import save_template
from interventions.queries.texts import TextCache
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
