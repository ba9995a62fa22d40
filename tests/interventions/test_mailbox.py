"""The staff mailbox: its messages, its permission and its pages."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from activity.access import COMMAND_LINE
from interventions.models import MailboxMessage
from interventions.queries.mailbox import PAGE, mailbox_page
from interventions.stages.dispatch import dispatch_due
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_template,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_mailboxmessage"))
    client.force_login(user)
    return client


def make_message(number: int = 0, **fields) -> MailboxMessage:
    values = {
        "received_at": NOW + timedelta(minutes=number),
        "message_id": f"<{number}@example.org>",
        "sender": "courses@example.org",
        "recipient": f"ana-{number}@example.org",
        "subject": f"Subject {number}",
        "headers": [["X-Header", "value"]],
        "text": "Plain words",
        "html": "<p>Rich words</p>",
        **fields,
    }
    return MailboxMessage.objects.create(**values)


def test_a_dispatched_mail_lands_in_the_mailbox_with_the_clocks_date(settings) -> None:
    # In tests, Django's memory backend replaces the backend of the settings.
    settings.EMAIL_BACKEND = "interventions.channels.mailbox.MailboxBackend"
    learner = make_learner(name="Zoë Ünal", email="Zoe@Example.org")
    name = "{{ learner.name | default: 'you' }}"
    template = make_template(en=(f"For {name}", f"<p>Ça va, {name}?</p>"))
    delivery = make_delivery(make_evaluated(learner=learner), make_cadence(template=template))

    dispatch_due(clock=lambda: NOW)

    message = MailboxMessage.objects.get()
    assert message.received_at == NOW
    assert message.recipient == "zoe@example.org"
    assert message.subject == "For Zoë Ünal"
    assert "Ça va, Zoë Ünal?" in message.html
    assert "Ça va, Zoë Ünal?" in message.text
    assert ["Message-ID", f"<{delivery.key}@testserver>"] in message.headers
    assert message.message_id == f"<{delivery.key}@testserver>"


@pytest.fixture
def token(settings) -> str:
    """Return the token in the links of a mail in the mailbox."""
    settings.EMAIL_BACKEND = "interventions.channels.mailbox.MailboxBackend"
    make_delivery()
    dispatch_due(clock=lambda: NOW)
    message = MailboxMessage.objects.get()
    (found,) = set(re.findall(r"/(?:unsubscribe|preferences)/([^/]+)/", message.html))
    assert found in message.text
    assert found in str(message.headers)
    return str(found)


def test_staff_see_a_mail_without_the_links_of_its_learner(staff: Client, token: str) -> None:
    message = MailboxMessage.objects.get()

    page = staff.get(f"/mailbox/{message.pk}/").text

    assert token not in page
    assert token.partition(":")[0] not in page
    assert "Unsubscribe" in page
    assert "you act for the learner" in page
    assert "/unsubscribe/[hidden]/" in page
    message.refresh_from_db()
    assert token in message.html


def test_the_links_of_a_mail_work_on_a_local_copy(staff: Client, settings, token: str) -> None:
    settings.STAFF_FOLLOW_LEARNER_LINKS = True

    page = staff.get(f"/mailbox/{MailboxMessage.objects.get().pk}/").text

    assert f"/unsubscribe/{token}/" in page
    assert "hidden here" not in page


def test_the_admin_shows_no_token_and_filters_by_none(
    client: Client, admin_user: User, token: str
) -> None:
    client.force_login(admin_user)
    message, pages = MailboxMessage.objects.get(), "/admin/interventions/mailboxmessage/"

    page = client.get(f"{pages}{message.pk}/change/").text

    assert message.recipient in page
    assert token not in page
    for field in ("html", "text", "headers"):
        answer = client.get(pages, {f"{field}__contains": token})
        assert answer.status_code == 400 or message.recipient not in answer.text


@pytest.mark.parametrize("address", ["/mailbox/", "/mailbox/1/"])
def test_the_mailbox_needs_its_permission(client: Client, address: str) -> None:
    make_message()
    assert client.get(address).status_code == 302

    client.force_login(User.objects.create_user("learner"))
    assert client.get(address).status_code == 302

    client.force_login(User.objects.create_user("helper", is_staff=True))
    assert client.get(address).status_code == 403


def test_an_empty_mailbox_explains_itself(staff: Client) -> None:
    page = staff.get("/mailbox/").text

    assert "There is no mail yet." in page
    assert "The course is live" in page


def test_the_list_is_searched_by_the_beginning_of_the_address(staff: Client) -> None:
    make_message(1, recipient="ana@example.org", subject="To Ana")
    make_message(2, recipient="bo@example.org", subject="To Bo")

    page = staff.get("/mailbox/", {"recipient": "ANA@"}).text
    assert "To Ana" in page
    assert "To Bo" not in page
    assert "There is no message to an address" in staff.get("/mailbox/", {"recipient": "cy"}).text
    assert "&lt;script&gt;" in staff.get("/mailbox/", {"recipient": "<script>"}).text


def test_pages_have_no_gap_and_no_repetition(staff: Client) -> None:
    # Many messages have one instant, so the position needs more than the instant.
    ids = [make_message(number // 7).pk for number in range(2 * PAGE + 3)]

    seen, behind = [], None
    while True:
        page = mailbox_page(viewer=COMMAND_LINE, behind=behind)
        seen += [message.pk for message in page.messages]
        behind = page.older
        if behind is None:
            break

    assert seen == sorted(ids, reverse=True)
    first = staff.get("/mailbox/").text
    assert f"before={seen[PAGE - 1]}" in first


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "9" * 5000, "²"])
def test_a_made_up_page_is_the_first(staff: Client, before: str) -> None:
    make_message()

    assert "Subject 0" in staff.get("/mailbox/", {"before": before}).text


def test_a_made_up_recipient_or_message_is_not_an_error(staff: Client) -> None:
    make_message()

    assert "Subject 0" in staff.get("/mailbox/", {"recipient": "\0ana"}).text
    assert staff.get(f"/mailbox/{'9' * 5000}/").status_code == 404
    assert staff.get(f"/mailbox/{'9' * 40}/").status_code == 404


def test_a_message_is_shown_in_a_frame_without_rights(staff: Client) -> None:
    evil = '<script>parent.alert(1)</script>"></iframe><b>out</b>'
    message = make_message(html=evil, subject="<i>Subject</i>")

    page = staff.get(f"/mailbox/{message.pk}/").text

    assert 'sandbox=""' in page
    assert "default-src &#x27;none&#x27;" in page.replace("&amp;", "&")
    assert evil not in page
    assert "<b>out</b>" not in page
    assert "<i>Subject</i>" not in page
    assert "X-Header" in page
    assert "Plain words" in page


EVIL_ADDRESS = "http://example.org/&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
MAIL_WITH_LINKS = """
<p><a href="https://courses.example.org/quiz?a=1&amp;b=2">Try the <b>quiz</b></a>
<a href="javascript:alert(1)">evil</a> <a href="JAVASCRIPT:alert(1)">evil</a>
<a href="data:text/html,x">evil</a> <a href="mailto:ana@example.org">write</a>
<a href="//example.org/x">no scheme</a> <a href="https://[">broken</a> <a>none</a>
<a href="https://courses.example.org/quiz?a=1&amp;b=2">again</a>
<a href='http://example.org/"><script>alert(1)</script>'><i></i></a></p>
"""


def test_links_of_a_mail_are_listed_below_it_and_only_web_addresses(staff: Client) -> None:
    message = make_message(html=MAIL_WITH_LINKS)

    page = staff.get(f"/mailbox/{message.pk}/").text
    links = re.findall(r'<li><a href="([^"]*)" ([^>]*)>([^<]*)</a>', page)

    assert [(address, words) for address, _, words in links] == [
        ("https://courses.example.org/quiz?a=1&amp;b=2", "Try the quiz"),
        (EVIL_ADDRESS, EVIL_ADDRESS),
    ]
    assert {how for _, how, _ in links} == {'target="_blank" rel="noopener noreferrer nofollow"'}
    assert 'sandbox=""' in page
    assert "<script>" not in page


def test_links_of_a_mail_in_plain_text_are_listed_too(staff: Client) -> None:
    message = make_message(html="", text="Look at https://example.org/a (or http://example.org/b).")

    page = staff.get(f"/mailbox/{message.pk}/").text

    assert 'href="https://example.org/a"' in page
    assert 'href="http://example.org/b"' in page
    assert 'sandbox=""' not in page


@pytest.mark.parametrize(
    ("address", "followed"),
    [
        ("http://127.0.0.1:8000/unsubscribe/token/", "http://testserver/unsubscribe/token/"),
        ("http://localhost:8000/preferences/token/", "http://testserver/preferences/token/"),
        ("http://127.0.0.1:8000/course/", "http://127.0.0.1:8000/course/"),
        ("http://127.0.0.1:8000/admin/", "http://127.0.0.1:8000/admin/"),
        ("https://example.org/unsubscribe/token/", "https://example.org/unsubscribe/token/"),
    ],
)
def test_a_link_to_this_machine_uses_the_host_of_the_request(
    staff: Client, settings, address: str, followed: str
) -> None:
    # As on a local copy.
    settings.STAFF_FOLLOW_LEARNER_LINKS = True
    message = make_message(html=f'<a href="{address}">Here</a>')

    assert f'href="{followed}"' in staff.get(f"/mailbox/{message.pk}/").text


def test_a_mail_without_links_lists_none(staff: Client) -> None:
    assert "Its links" not in staff.get(f"/mailbox/{make_message().pk}/").text


def test_a_missing_message_shows_a_sentence(staff: Client) -> None:
    response = staff.get("/mailbox/12345/")

    assert response.status_code == 404
    assert "No such message" in response.text


def test_the_list_takes_one_query_however_many_messages(django_assert_num_queries) -> None:
    for number in range(5):
        make_message(number)

    with django_assert_num_queries(1):
        mailbox_page(viewer=COMMAND_LINE, recipient="ana")
