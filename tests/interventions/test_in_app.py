"""In-app messages: who may fetch them, what they show, and what seeing and dismissing do."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from standardwebhooks.webhooks import Webhook

from activity.models import Course, DailyActivity, Event
from common.clock import utc_now
from interventions.channels import CHANNELS
from interventions.models import CourseSite, Delivery, InAppMessage
from interventions.operations import (
    InterventionError,
    checked_origins,
    renew_secret,
    save_course_site,
    unsubscribe,
)
from interventions.operations.secrets import new_secret
from interventions.queries.in_app import MOST_SHOWN
from interventions.render.links import LinkOwner
from interventions.stages.dispatch import dispatch_due
from tests.factories import act as acts
from tests.factories import make_enrollment, make_learner
from tests.guards.code import ROOT
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_live_course,
    make_template,
)

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ORIGIN = "https://courses.example.org"
LIST = "/in-app/messages/"
TEXTS = (
    "Next up",
    '<p>Go on with <a href="https://courses.example.org/m3?a=1&amp;b=2">Module <b>3</b></a>.</p>',
)


@pytest.fixture
def site() -> CourseSite:
    found = CourseSite(name="Campus", origins=[ORIGIN])
    save_course_site(found)
    return found


def make_sent(course: Course | None = None, *, learner: Any = None, **fields: Any) -> Delivery:
    """Return a message on the course site that was just handed off."""
    now = utc_now()
    course = course or make_live_course(ends_on=(now + 30 * DAY).date())
    enrollment = make_enrollment(
        course, learner or make_learner(), due_at=None, enrolled_at=now - 3 * DAY
    )
    cadence = make_cadence(template=make_template(en=TEXTS))
    values = {"planned_at": now, "send_at": now - HOUR, "expires_at": now + DAY, **fields}
    delivery = make_delivery(enrollment, cadence, channel="in_app", **values)
    dispatch_due(clock=lambda: now, channels={"in_app": CHANNELS["in_app"]})
    delivery.refresh_from_db()
    return delivery


def token(site: CourseSite, who: object, *, secret: str = "", **claims: Any) -> dict[str, str]:
    """Return the header of a request with a token of the site."""
    whole = {"external_id": who, "exp": utc_now() + HOUR, **claims}
    key = {"kid": str(site.key)}
    signed = jwt.encode(whole, secret or site.secret, algorithm="HS256", headers=key)
    return {"Authorization": f"Bearer {signed}"}


def test_a_learner_gets_the_messages_of_the_learner(client: Client, site: CourseSite) -> None:
    delivery, other = make_sent(), make_sent()
    headers = token(site, delivery.learner.external_id)

    answer = client.get(LIST, headers={**headers, "Origin": ORIGIN})

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert "no-store" in answer["Cache-Control"]
    (message,) = answer.json()["messages"]
    assert message["id"] == str(delivery.key) != str(other.key)
    assert message["title"] == "Next up"
    assert message["link"] == {
        "url": "https://courses.example.org/m3?a=1&b=2",
        "text": "Module 3",
    }
    assert message["text"].startswith("Go on with Module 3:\nhttps://")
    assert "/preferences/" in message["preferences_url"]


def test_seen_and_dismissed_are_noted_once_and_are_no_acts(
    client: Client, site: CourseSite
) -> None:
    delivery = make_sent()
    headers = token(site, delivery.learner.external_id)

    for do in ("seen", "seen", "dismissed", "dismissed"):
        answer = client.post(f"{LIST}{delivery.key}/{do}/", headers=headers)
        assert answer.status_code == 200
        assert answer.json()["seen_at"]

    verbs = sorted(Event.objects.values_list("verb", flat=True))
    assert verbs == ["IN_APP_DISMISSED", "IN_APP_SEEN", "IN_APP_SENT"]
    assert not DailyActivity.objects.exists()
    assert client.get(LIST, headers=headers).json()["messages"] == []


def test_a_message_of_another_learner_cannot_be_touched(client: Client, site: CourseSite) -> None:
    delivery, other = make_sent(), make_sent()
    headers = token(site, other.learner.external_id)

    for key in (delivery.key, uuid4()):
        assert client.post(f"{LIST}{key}/seen/", headers=headers).status_code == 404

    assert not InAppMessage.objects.filter(seen_at__isnull=False).exists()


def wrong_tokens(site: CourseSite, who: str) -> dict[str, dict[str, str]]:
    now = utc_now()
    other = CourseSite(name="x", key=uuid4(), secret=site.secret)
    key = {"kid": str(site.key)}
    unsigned = jwt.encode({"external_id": who, "exp": now + HOUR}, "", "none", headers=key)
    without = jwt.encode({"external_id": who}, site.secret, "HS256", headers=key)
    return {
        "none": {},
        "no bearer": {"Authorization": "Basic YTpi"},
        "junk": {"Authorization": "Bearer a.b.c"},
        "unsigned": {"Authorization": f"Bearer {unsigned}"},
        "another secret": token(site, who, secret="y" * 40),
        "another site": token(other, who),
        "expired": token(site, who, exp=now - timedelta(minutes=2)),
        "too long": token(site, who, exp=now + 2 * DAY),
        "without end": {"Authorization": f"Bearer {without}"},
        "unknown learner": token(site, "nobody"),
        "no learner": token(site, 7),
        "a name that no database can hold": token(site, "a\0b"),
        "half a character": token(site, "\ud800"),
        "a huge end": token(site, who, exp=10**400),
        "an endless end": token(site, who, exp=float("inf")),
        "no number as end": token(site, who, exp=float("nan")),
        "another algorithm": {
            "Authorization": "Bearer "
            + jwt.encode({"external_id": who, "exp": now + HOUR}, site.secret, "HS512", headers=key)
        },
    }


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_token_that_proves_nothing_is_refused(client: Client, site: CourseSite) -> None:
    delivery = make_sent()
    for name, headers in wrong_tokens(site, delivery.learner.external_id).items():
        answer = client.get(LIST, headers={**headers, "Origin": ORIGIN})
        assert (name, answer.status_code) == (name, 401)
        assert answer.json()["error"].endswith("."), name
        # The page must be able to read why.
        assert answer["Access-Control-Allow-Origin"] == ORIGIN
    site.active = False
    site.save()
    assert client.get(LIST, headers=token(site, delivery.learner.external_id)).status_code == 401


def test_the_old_secret_counts_for_one_more_day(client: Client, site: CourseSite) -> None:
    delivery, old = make_sent(), site.secret
    who = delivery.learner.external_id
    new = renew_secret(site, now=utc_now() - DAY + HOUR)
    for secret in (old, new):
        assert client.get(LIST, headers=token(site, who, secret=secret)).status_code == 200

    CourseSite.objects.update(old_secret_until=utc_now())

    assert client.get(LIST, headers=token(site, who, secret=old)).status_code == 401
    assert client.get(LIST, headers=token(site, who, secret=new)).status_code == 200


def test_only_the_sites_own_pages_may_read_an_answer(client: Client, site: CourseSite) -> None:
    delivery = make_sent()
    headers = token(site, delivery.learner.external_id)

    foreign = client.get(LIST, headers={**headers, "Origin": "https://evil.example"})
    asked = client.options(LIST, headers={"Origin": ORIGIN})
    refused = client.options(LIST, headers={"Origin": "https://evil.example"})

    assert foreign.status_code == 403
    assert "Access-Control-Allow-Origin" not in foreign
    assert (asked.status_code, asked["Access-Control-Allow-Origin"]) == (204, ORIGIN)
    assert asked["Access-Control-Allow-Headers"] == "authorization"
    assert "Access-Control-Allow-Origin" not in refused
    assert client.post(LIST, headers=headers).status_code == 405
    assert client.get(f"{LIST}{delivery.key}/seen/", headers=headers).status_code == 405


def test_a_site_of_one_course_shows_that_course_alone(client: Client, site: CourseSite) -> None:
    now = utc_now()
    learner = make_learner()
    own, shared = (make_live_course(ends_on=(now + 30 * DAY).date()) for _ in range(2))
    of_course = CourseSite(name="Own", course=own, origins=[])
    save_course_site(of_course)
    deliveries = [make_sent(each, learner=learner) for each in (own, shared)]

    found = [
        client.get(LIST, headers=token(each, learner.external_id)).json()["messages"]
        for each in (of_course, site)
    ]

    assert [[each["id"] for each in of] for of in found] == [[str(d.key)] for d in deliveries]


def test_the_shared_site_shows_nothing_of_a_course_whose_own_site_is_off(
    client: Client, site: CourseSite
) -> None:
    course = make_live_course(ends_on=(utc_now() + 30 * DAY).date())
    own = CourseSite(name="Own", course=course, origins=[])
    save_course_site(own)
    shown = make_sent(course)
    own.active = False
    save_course_site(own)

    waiting = make_sent(course)

    assert (waiting.state, waiting.reason) == ("planned", "not_set_up")
    headers = token(site, shown.learner.external_id)
    assert client.get(LIST, headers=headers).json()["messages"] == []
    assert client.post(f"{LIST}{shown.key}/seen/", headers=headers).status_code == 404


def test_nothing_is_shown_after_it_has_expired_or_after_a_no(
    client: Client, site: CourseSite
) -> None:
    over = make_sent(expires_at=utc_now() + timedelta(seconds=1))
    InAppMessage.objects.update(expires_at=utc_now())
    refused, pending, gone = (make_sent() for _ in range(3))
    owner = LinkOwner(refused.learner_id, refused.enrollment_id, refused.key)
    unsubscribe(owner, source="one_click", now=utc_now())
    acts(pending.enrollment, "UNSUBSCRIBED", occurred_at=utc_now(), source="lms")
    gone.enrollment.withdrew_at = utc_now() - HOUR
    gone.enrollment.save()

    for delivery in (over, refused, pending, gone):
        headers = token(site, delivery.learner.external_id)
        assert client.get(LIST, headers=headers).json()["messages"] == []


def test_the_list_has_a_limit_and_a_fixed_number_of_queries(
    client: Client, site: CourseSite
) -> None:
    course = make_live_course(ends_on=(utc_now() + 30 * DAY).date())
    first = make_sent(course)
    headers = token(site, first.learner.external_id)
    with CaptureQueriesContext(connection) as one:
        client.get(LIST, headers=headers)
    cadence = first.run.cadence
    for _ in range(MOST_SHOWN):
        run = first.run.__class__.objects.create(
            cadence=cadence,
            enrollment=first.enrollment,
            started_at=utc_now(),
            ended_at=utc_now(),
            status="finished",
        )
        more = make_delivery(first.enrollment, cadence, run=run, channel="in_app")
        InAppMessage.objects.create(
            delivery=more,
            learner=first.learner,
            enrollment=first.enrollment,
            title="x",
            html="x",
            text="x",
            sent_at=utc_now(),
            expires_at=utc_now() + DAY,
        )

    with CaptureQueriesContext(connection) as many:
        found = client.get(LIST, headers=headers).json()["messages"]

    assert len(found) == MOST_SHOWN
    assert len(many) == len(one) <= 7


def test_the_examples_of_the_page_on_channels_run(client: Client, site: CourseSite) -> None:
    page = (ROOT / "docs" / "channels.md").read_text()
    names: dict[str, Any] = {}
    for example in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(example, names)
    delivery = make_sent()
    signed = names["learner_token"](
        delivery.learner.external_id, key=str(site.key), secret=site.secret
    )
    answer = client.get(LIST, headers={"Authorization": f"Bearer {signed}"}).json()
    (shown, _) = (
        json.loads(each)
        for each in re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    )
    assert answer.keys() == shown.keys()
    assert answer["messages"][0].keys() == shown["messages"][0].keys()
    body, secret = '{"data": {"learner": "s-1"}}', new_secret()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(utc_now().timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", utc_now(), body),
    }
    assert names["received"](secret, headers, body.encode()) == {"learner": "s-1"}


@pytest.mark.parametrize(
    ("typed", "origins"),
    [
        ("https://Courses.example.org/", ["https://courses.example.org"]),
        ("http://localhost:8080", ["http://localhost:8080"]),
        ("https://courses.example.org:443", ["https://courses.example.org"]),
        ("http://courses.example.org:80/", ["http://courses.example.org"]),
        ("http://courses.example.org:443", ["http://courses.example.org:443"]),
        ("https://MÜNCHEN.example", ["https://xn--mnchen-3ya.example"]),
        ("https://straße.example", ["https://xn--strae-oqa.example"]),
        ("https://my_host.example", ["https://my_host.example"]),
        ("https://[::1]:3000", ["https://[::1]:3000"]),
        ("https://[0:0:0:0:0:0:0:1]", ["https://[::1]"]),
    ],
)
def test_origins_are_kept_as_browsers_send_them(typed: str, origins: list[str]) -> None:
    assert checked_origins([typed, "", f" {typed} "]) == origins


@pytest.mark.parametrize(
    "typed",
    [
        "courses.example.org",
        "https://a.example/path",
        "https://a:x/",
        "https://a:0/",
        "https://a b.example",
        "https://*.example.org",
        "https://a..example",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        "javascript:1",
        "*",
    ],
)
@pytest.mark.sampled(3)
def test_an_origin_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(InterventionError, match="is not the address of a site"):
        checked_origins([typed])


def test_the_page_of_a_site_shows_its_secret_once(admin_client: Client) -> None:
    add = "/admin/interventions/coursesite/add/"
    wrong = admin_client.post(add, {"name": "Campus", "origins": "nowhere", "active": "on"})
    assert "is not the address of a site" in wrong.text

    typed = {"name": "Campus", "origins": f"{ORIGIN}\n\n", "active": "on"}
    shown = admin_client.post(add, typed, follow=True).text

    site = CourseSite.objects.get()
    assert site.origins == [ORIGIN]
    assert site.secret in shown
    page = admin_client.get(f"/admin/interventions/coursesite/{site.pk}/change/").text
    assert (site.secret in page, str(site.key) in page) == (False, True)


def test_a_time_in_a_token_may_be_any_number(client: Client, site: CourseSite) -> None:
    delivery = make_sent()
    who = delivery.learner.external_id
    at = datetime.now(UTC).timestamp() + 60.5
    assert client.get(LIST, headers=token(site, who, exp=at)).status_code == 200
