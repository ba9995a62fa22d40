"""The pages of learners are in the learner's language, and name the course."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.utils.translation.template import templatize

from activity.models import Course, Learner
from interventions.models import Category, Delivery
from interventions.policy.guards import CATEGORIES
from interventions.render import why, words
from interventions.render.links import LinkOwner, make_token
from tests.interventions.factories import make_delivery

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "templates/interventions").glob("*.html"))
BLANKS = re.compile(r"%\(\w+\)s")
ACCEPTED = {"accept-language": "fr-CA,fr;q=0.8"}
SENTENCES = {
    "de": "Alle Nachrichten abbestellen?",
    "en": "Stop all messages?",
    "es": "¿Dejar de recibir todos los mensajes?",
    "fr": "Arrêter tous les messages ?",
    "nl": "Alle berichten stoppen?",
}


def link(delivery: Delivery, page: str = "unsubscribe") -> str:
    owner = LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key)
    return f"/{page}/{make_token(owner)}/"


def sentences() -> set[str]:
    """Return the texts of the pages that are to be translated."""
    calls = "".join(templatize(path.read_text()) for path in [*PAGES, ROOT / "templates/base.html"])
    found = re.findall(r"""gettext\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\)""", calls)
    pages = {each[1:-1].replace("\\'", "'").replace('\\"', '"') for each in found}
    return pages | {*words.SENTENCES, *why.SENTENCES}


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES if code != "en"])
def test_every_sentence_has_a_translation_with_the_same_blanks(language: str) -> None:
    with (ROOT / f"locale/{language}/LC_MESSAGES/django.po").open("rb") as file:
        catalog = {str(each.id): str(each.string) for each in read_po(file) if each.id}

    assert len(sentences()) > 25
    assert set(catalog) == sentences()
    for sentence, translation in catalog.items():
        assert translation, sentence
        # The blanks have names, and each language has its own order.
        assert sorted(BLANKS.findall(translation)) == sorted(BLANKS.findall(sentence)), sentence


@pytest.mark.django_db
@pytest.mark.parametrize("language", SENTENCES)
def test_page_is_in_the_language_of_the_learner(language: str, client: Client) -> None:
    delivery = make_delivery()
    Learner.objects.update(locale=language)

    page = client.get(link(delivery), headers={"accept-language": "ja"}).text

    assert SENTENCES[language] in page
    assert f'<html lang="{language}">' in page


def test_shipped_categories_have_own_words() -> None:
    shipped = [each[name] for each in CATEGORIES for name in ("name", "description")]

    assert list(words.CATEGORY_WORDS) == shipped


@pytest.mark.django_db
def test_learner_chooses_in_the_own_language(client: Client) -> None:
    delivery = make_delivery()
    Learner.objects.update(locale="de")
    Category.objects.filter(pk=delivery.category_id).update(name="Lab notes")
    Category.objects.create(**CATEGORIES[0])

    page = client.get(link(delivery, "preferences")).text

    assert "Nächste Schritte" in page
    assert "Hilfe bei schwierigen Teilen" in page
    assert "Lab notes" in page
    assert "Next steps" not in page
    # An umlaut is sorted with its letter, not after z.
    Category.objects.filter(pk=delivery.category_id).update(name="Nudges")
    page = client.get(link(delivery, "preferences")).text
    assert page.index("Nächste Schritte") < page.index("Nudges")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("locale", "name"),
    [
        ("de-AT", "Lernhilfe"),
        ("de", "Lernhilfe"),
        ("pt_BR", "Ajuda"),
        ("pt", "Study help"),
        ("nl", "Study help"),
    ],
)
def test_names_of_staff_are_in_the_language_of_the_learner(
    locale: str, name: str, client: Client
) -> None:
    delivery = make_delivery()
    Learner.objects.update(locale=locale)
    category = delivery.category
    Category.objects.filter(pk=category.pk).update(name="Study help", description="By tutors.")
    for language, text, about in (("de", "Lernhilfe", "Vom Team."), ("pt-br", "Ajuda", "")):
        category.texts.create(locale=language, name=text, description=about)

    page = client.get(link(delivery, "preferences"), headers={"accept-language": "en"}).text

    names = {"Study help": "By tutors.", "Lernhilfe": "Vom Team.", "Ajuda": None}
    assert [each for each in names if each in page] == [name]
    assert [each for each in names.values() if each and each in page] == [
        about for about in [names[name]] if about
    ]


@pytest.mark.django_db
def test_staff_name_a_category_in_a_language_once(admin_client: Client) -> None:
    category = make_delivery().category
    page = f"/admin/interventions/category/{category.pk}/change/"
    form = admin_client.get(page).context["adminform"].form
    typed = {
        **{name: value for name, value in form.initial.items() if value},
        "texts-TOTAL_FORMS": 2,
        "texts-INITIAL_FORMS": 0,
    }
    for number, locale in enumerate(("pt_BR", "PT-br")):
        typed |= {f"texts-{number}-locale": locale, f"texts-{number}-name": "Ajuda"}

    assert "duplicate" in admin_client.post(page, typed).text
    typed["texts-1-locale"] = "Deutsch!"
    assert "Write a language such as de or pt-BR." in admin_client.post(page, typed).text
    typed["texts-1-locale"] = "de"
    assert admin_client.post(page, typed).status_code == 302

    assert {each.locale for each in category.texts.all()} == {"pt-br", "de"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("of_learner", "of_course", "shown"),
    [
        ("", "nl", "nl"),
        ("nl_BE", "en", "nl"),
        ("DE-at", "en", "de"),
        ("", "tlh", "fr"),
        ("??", "nl", "fr"),
    ],
)
def test_language_is_that_of_the_learner_else_of_the_course_else_of_the_browser(
    of_learner: str, of_course: str, shown: str, client: Client
) -> None:
    delivery = make_delivery()
    Learner.objects.update(locale=of_learner)
    Course.objects.update(locale=of_course)

    assert SENTENCES[shown] in client.get(link(delivery), headers=ACCEPTED).text


@pytest.mark.django_db
def test_broken_link_and_deleted_learner_are_answered_in_the_language_of_the_browser(
    client: Client,
) -> None:
    delivery = make_delivery()
    address = link(delivery)
    Delivery.objects.all().delete()
    Learner.objects.all().delete()

    assert "Ce lien ne fonctionne pas" in client.get("/unsubscribe/x/", headers=ACCEPTED).text
    assert "a rien à modifier" in client.get(address, headers=ACCEPTED).text


@pytest.mark.django_db
def test_page_names_the_course_and_the_sender(client: Client) -> None:
    delivery = make_delivery()
    Course.objects.update(title="Bio<logy")

    for page in ("unsubscribe", "preferences"):
        text = client.get(link(delivery, page)).text
        assert "messages of the course “Bio&lt;logy”" in text
        assert "They are sent by Nudgelab." in text
    other = Course.objects.create(
        key="o", title="Zebra", time_zone="UTC", starts_on="2025-01-01", ends_on="2026-01-01"
    )
    assert other.title not in client.get(link(delivery)).text


@pytest.mark.django_db
def test_language_of_one_request_does_not_stay_for_the_next(client: Client) -> None:
    delivery = make_delivery()
    Learner.objects.update(locale="de")
    client.get(link(delivery))

    assert '<html lang="en">' in client.get("/nowhere/").text
