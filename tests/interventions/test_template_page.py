"""The page of a template: previews with a learner's data, test mails, versions."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from activity import access
from activity.models import Course
from interventions.models import Delivery, MailboxMessage, MessageTemplate, TemplateText
from interventions.operations import InterventionError, restore_version, save_template
from interventions.queries import templates
from interventions.queries.templates import MOST_VERSIONS, language_name, versions_of
from interventions.render.differences import Piece, differences
from segmentation.models import Membership
from tests.factories import NOW, make_item, make_learner
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_evaluated,
    make_live_course,
    make_template,
)

pytestmark = pytest.mark.django_db

HELLO = "<p>Hello {{ learner.first_name | default: 'there' }}</p>"


def page_of(template: MessageTemplate, part: str = "") -> str:
    return f"/templates/{template.pk}/{part}"


def save(template: MessageTemplate, **texts: tuple[str, str]) -> None:
    save_template(template.key, name=template.name, category=template.category, texts=texts)
    template.refresh_from_db()


@pytest.fixture
def template() -> MessageTemplate:
    return make_template(en=("For {{ course.title }}", HELLO), de=("Kurs", HELLO))


def test_it_is_shown_with_the_data_of_the_learner_with_an_id(
    admin_client: Client, template: MessageTemplate, django_assert_max_num_queries: Any
) -> None:
    course = make_live_course(title="Baking")
    make_evaluated(course, make_learner(name="Bo Stone", external_id="feed-7"))
    make_item(course, "module", title="Dough")
    make_cadence(template=template)

    with django_assert_max_num_queries(10):
        page = admin_client.get(page_of(template), {"learner": " feed-7 "}).text

    assert "Subject: For Baking" in page
    assert "Hello Bo" in page
    assert "Hello Ana" in admin_client.get(page_of(template)).text
    assert "No learner has the id “x”" in admin_client.get(page_of(template), {"learner": "x"}).text


def test_language_that_is_not_known_is_named_by_its_locale() -> None:
    assert [language_name(each) for each in ("pt-BR", "tlh")] == ["Brazilian Portuguese", "tlh"]


def test_it_offers_learners_and_shows_the_chosen_one(
    admin_client: Client, template: MessageTemplate
) -> None:
    course = make_live_course()
    ana, bo = (make_evaluated(course, make_learner(name=name)) for name in ("Ana A", "Bo B"))

    assert "Hello Bo" in admin_client.get(page_of(template), {"as": bo.pk}).text
    page = admin_client.get(page_of(template), {"as": ana.pk, "locale": "de"}).text
    assert "Subject: Kurs" in page
    assert '<option value="de" selected>German</option>' in page
    assert "lang=&quot;de&quot;" in page
    for made_up in ("x", "9" * 40, "0"):
        assert "Hello Ana" in admin_client.get(page_of(template), {"as": made_up}).text


def test_it_offers_members_of_the_users_courses_however_many_others_there_are(
    admin_client: Client, template: MessageTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "MOST_LEARNERS", 2)
    course = make_live_course()
    segment = make_any_segment(course)
    make_cadence(template=template, segment=segment)
    members = [make_evaluated(make_live_course()) for _ in range(2)]
    members += [make_evaluated(course, make_learner(name="Bo B"))]
    for each in members:
        Membership.objects.create(enrollment=each, segment=segment, entered_at=NOW, version=1)
    cy = make_evaluated(course, make_learner(name="Cy C"))
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(pk=course.pk))

    assert "Hello Bo" in admin_client.get(page_of(template), {"as": members[-1].pk}).text
    assert "Hello Cy" not in admin_client.get(page_of(template), {"as": cy.pk}).text


def test_a_test_mail_goes_to_the_user_alone(
    admin_client: Client, admin_user: User, template: MessageTemplate, settings
) -> None:
    settings.EMAIL_BACKEND = "interventions.channels.mailbox.MailboxBackend"
    bo = make_evaluated(make_live_course(), make_learner(name="Bo B"))

    answer = admin_client.post(
        page_of(template, "test/"), {"as": bo.pk, "locale": "de"}, follow=True
    )

    assert f"A test mail is on its way to {admin_user.email}." in answer.text
    (mail,) = MailboxMessage.objects.all()
    assert mail.recipient == admin_user.email
    assert mail.subject == "Test: Kurs"
    assert "Hello Bo" in mail.text
    assert "/nudges/test-link/" in mail.text
    assert not Delivery.objects.exists()
    User.objects.update(email="")
    answer = admin_client.post(page_of(template, "test/"), follow=True)
    assert "Your account has no address" in answer.text


def test_versions_show_what_they_changed_and_an_earlier_one_is_restored(
    admin_client: Client, template: MessageTemplate
) -> None:
    save(template, en=("For {{ course.title }}", HELLO + "<p>New words</p>"), de=("Kurs", HELLO))

    page = admin_client.get(page_of(template)).text
    assert "Version 2, in use" in page
    assert "<ins>&lt;p&gt;New words&lt;/p&gt;</ins>" in page
    answer = admin_client.post(page_of(template, "restore/1/"), follow=True)

    assert "The texts of version 1 are in use again, as version 3." in answer.text
    newest, _, first = versions_of(MessageTemplate.objects.get())
    assert (newest.number, newest.is_current) == (3, True)
    assert [piece.kind for piece in newest.changes[0].body] == ["same", "gone"]
    assert {change.locale for change in first.changes} == {"de", "en"}
    # A second press finds these texts in use already.
    admin_client.post(page_of(template, "restore/1/"))
    assert MessageTemplate.objects.get().version == 3


def test_a_version_that_can_no_longer_be_used_is_not_restored(
    admin_client: Client, template: MessageTemplate
) -> None:
    save(template, en=("Other", HELLO))
    TemplateText.objects.filter(version=1, locale="en").update(body="{{ gone.variable }}")

    answer = admin_client.post(page_of(template, "restore/1/"), follow=True)

    assert "Version 1 was not restored. The body in &#x27;en&#x27;: Unknown variable" in answer.text
    assert MessageTemplate.objects.get().version == 2
    with pytest.raises(InterventionError, match="no such version"):
        restore_version(template.pk, 7)


@pytest.mark.slow
def test_only_the_newest_versions_are_shown(template: MessageTemplate) -> None:
    for number in range(MOST_VERSIONS + 3):
        save(template, en=(f"Subject {number}", HELLO))

    shown = versions_of(template)

    assert [each.number for each in shown] == list(
        range(template.version, template.version - MOST_VERSIONS, -1)
    )
    assert [piece.kind for piece in shown[-1].changes[0].subject] == ["same", "gone", "new"]


def test_rights_decide_what_may_be_done(client: Client, template: MessageTemplate) -> None:
    user = User.objects.create_user("helper", is_staff=True, email="h@example.org")
    client.force_login(user)
    assert client.get(page_of(template)).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_messagetemplate"))

    bo = make_evaluated(make_live_course(), make_learner(name="Bo Stone", external_id="bo"))
    page = client.get(page_of(template), {"as": bo.pk, "learner": "bo"}).text

    assert "Hello Ana" in page
    assert "Bo" not in page.replace("Body", "")
    assert "as a test" not in page
    for part in ("test/", "restore/1/"):
        assert client.post(page_of(template, part)).status_code == 403
        assert client.get(page_of(template, part)).status_code == 405
    assert client.get("/templates/0/").status_code == 404


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ("", "", ""),
        ("one two", "one two", "same"),
        ("", "new", "new"),
        ("one two three", "one 2 three", "same gone new same"),
        ("a\nb\n" * 3_000, "a\nb\n" * 3_000 + "c", "same new"),
    ],
)
def test_differences_are_pieces_of_both_texts(before: str, after: str, kinds: str) -> None:
    pieces = differences(before, after)

    assert " ".join(piece.kind for piece in pieces) == kinds
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == after
    assert Piece("same", "") not in pieces
