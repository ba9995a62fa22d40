"""Opens and clicks by machines are told from those of people."""

from datetime import timedelta
from typing import Any

import pytest

from activity.models import Event
from interventions.models import Receipt
from interventions.operations import record_reports
from interventions.stages.recover import recover
from interventions.tracking.machines import Follow, at_once, is_machine, is_program
from interventions.tracking.reports import Report
from tests.factories import NOW
from tests.interventions.factories import make_counted, make_evaluated

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
CUBOT = "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/143.0 Mobile"


@pytest.mark.parametrize(
    ("provider", "raw", "user_agent", "expected"),
    [
        ("postmark", {}, FIREFOX, False),
        ("postmark", {}, CUBOT, False),
        ("postmark", {}, "", False),
        ("postmark", {}, "Mozilla/5.0", True),
        ("postmark", {}, "Mozilla/5.0 (compatible; Googlebot/2.1)", True),
        ("postmark", {}, "python-requests/2.32", True),
        ("brevo", {"event": "unique_opened"}, "", False),
        ("brevo", {"event": "unique_proxy_open"}, "", True),
        ("sendgrid", {"sg_machine_open": False}, FIREFOX, False),
        ("sendgrid", {"sg_machine_open": True}, FIREFOX, True),
        ("mailgun", {"event-data": {"client-info": {"bot": ""}}}, FIREFOX, False),
        ("mailgun", {"event-data": {"client-info": {"bot": "apple"}}}, FIREFOX, True),
        ("mailgun", {"event-data": "broken"}, FIREFOX, False),
        ("sparkpost", {"msys": {"track_event": {"user_agent_parsed": {}}}}, FIREFOX, False),
        (
            "sparkpost",
            {"msys": {"track_event": {"user_agent_parsed": {"is_prefetched": True}}}},
            FIREFOX,
            True,
        ),
    ],
)
def test_provider_or_program_says_that_nobody_was_there(
    provider: str, raw: dict[str, Any], user_agent: str, expected: bool
) -> None:
    assert is_machine(provider, raw, user_agent) is expected


@pytest.mark.parametrize(
    ("method", "user_agent", "expected"),
    [
        ("GET", FIREFOX, False),
        ("HEAD", FIREFOX, True),
        ("GET", "", True),
        ("GET", "Barracuda Sentinel", True),
    ],
)
def test_use_of_our_own_link_by_a_program(method: str, user_agent: str, expected: bool) -> None:
    assert is_program(user_agent, method=method) is expected


def follow(seconds: float, link: str = "a", message: int = 1) -> Follow:
    return Follow(message, link, NOW + timedelta(seconds=seconds))


def test_two_links_of_one_message_at_once_are_no_person() -> None:
    burst = {follow(0), follow(1, "b"), follow(2, "c")}
    others = {follow(0, message=2), follow(1, "b", message=3), follow(60, "b")}

    assert at_once({*burst, *others}) == burst
    assert at_once([follow(0), follow(1)]) == set()


@pytest.mark.django_db
def test_opens_and_clicks_of_machines_are_marked_and_kept_apart() -> None:
    delivery = make_counted(make_evaluated(), NOW, provider_id="postmark:7")
    scanned, read = NOW + timedelta(seconds=2), NOW + timedelta(hours=1)
    reports = [
        Report(provider="postmark", message_id="7", kind=kind, at=at, link=link)
        for kind, at, link in [
            ("opened", scanned, ""),
            ("opened", read, ""),
            ("clicked", read + timedelta(minutes=1), "a"),
            ("clicked", read + timedelta(minutes=2), "a"),
            ("clicked", read + timedelta(minutes=2, seconds=1), "b"),
        ]
    ]

    record_reports(reports, now=read + timedelta(minutes=3))
    assert not Event.objects.exists()
    recover(now=read + timedelta(minutes=4))

    found = Event.objects.order_by("occurred_at").values_list("verb", "properties__machine")
    assert list(found) == [
        ("EMAIL_OPENED", True),
        ("EMAIL_OPENED", False),
        ("EMAIL_CLICKED", False),
        ("EMAIL_CLICKED", True),
        ("EMAIL_CLICKED", True),
    ]
    receipt = Receipt.objects.get(delivery=delivery)
    assert (receipt.machine_opened_at, receipt.opened_at) == (scanned, read)
    assert receipt.clicked_at == read + timedelta(minutes=1)
