"""What if: the last 30 days replayed under other limits, against really running them."""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from random import Random
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import reverse

from activity import access
from activity.models import Course, Enrollment
from common.clock import utc_now
from interventions.models import Delivery, FrequencyCap, QuietHours
from interventions.operations import save_cap, save_quiet_hours
from interventions.policy.caps import Cap, Message, Window
from interventions.policy.decision import Facts
from interventions.policy.expectation import Candidate
from interventions.policy.what_if import Effect, Replayed, effects
from interventions.queries import what_if as queries
from interventions.queries.limits import limits_with_cap, limits_with_quiet_hours, read_limits
from interventions.queries.what_if import WhatIf, what_if
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_category,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    mark_evaluated,
)
from tests.long import longer

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BEGINS = NOW - timedelta(days=6)


def replayed(at: datetime, *, before: tuple[Cap, ...], after: tuple[Cap, ...], n: int) -> Replayed:
    facts = Facts(message=Message("email", 1, 1), zone="UTC")
    one, other = (
        Candidate(
            Facts(facts.message, "UTC", caps=caps), at, at + 7 * DAY, rank=(1, at, n), delivery_id=n
        )
        for caps in (before, after)
    )
    return Replayed(learner_id=1, course_id=1, ghost=n == 9, before=one, after=other)


def test_effect_counts_fewer_later_and_affected_learners() -> None:
    daily = Cap("a", 1, Window.ROLLING_HOURS, 24)
    weekly = Cap("b", 1, Window.ROLLING_DAYS, 7, drops=True)
    messages = [
        replayed(BEGINS + hours * HOUR, before=(daily,), after=(weekly,), n=n)
        for n, hours in enumerate((0, 1, 30))
    ]

    found = effects([messages], until=NOW)

    # As it is: at 0, 24 and 48 hours. With the change: only at 0.
    assert found == {1: Effect(messages=3, before=3, after=1, delayed=0, sooner=0, learners=1)}
    assert found[1].saved == 2


def test_ghosts_use_up_caps_and_are_not_counted() -> None:
    drops = Cap("a", 1, Window.ROLLING_HOURS, 24, drops=True)
    ghost, real = (replayed(BEGINS, before=(), after=(drops,), n=n) for n in (9, 10))

    assert effects([[ghost, real]], until=NOW)[1] == Effect(1, 1, 0, 0, 0, 1)


def make_world(seed: int) -> list[Enrollment]:
    """Plan messages at random hours of six days, for learners in two courses, some as ghosts."""
    rng = Random(seed)
    courses = [make_live_course(), make_live_course(time_zone="Asia/Kathmandu")]
    capped, free = make_category(), make_category(capped=False, quiet=False)
    cadences = [
        make_cadence(category=capped),
        make_cadence(category=capped, priority=5, window_from=time(9), window_until=time(17)),
        make_cadence(category=free),
    ]
    enrollments = []
    for _ in range(6):
        learner = make_learner()
        chosen = rng.sample(courses, rng.choice((1, 2)))
        enrollments += [make_evaluated(course, learner) for course in chosen]
    for _ in range(70):
        enrollment = rng.choice(enrollments)
        at = BEGINS + rng.randrange(24 * 6) * HOUR
        cadence = rng.choice(cadences)
        make_delivery(
            run=make_run(
                enrollment, cadence, ghost=rng.random() < 0.2, status="finished", ended_at=at
            ),
            planned_at=at,
            send_at=at,
            expires_at=at + rng.choice((1, 3)) * DAY,
        )
    return enrollments


def run_the_days(enrollments: list[Enrollment]) -> dict[int, datetime | None]:
    """Dispatch each hour until NOW, if something is due. Return when each real one went out."""
    at = BEGINS
    while at < NOW:
        if Delivery.objects.filter(state="planned", send_at__lte=at).exists():
            dispatch(at)
            mark_evaluated(*enrollments)
        at += HOUR
    rows = Delivery.objects.filter(ghost=False).order_by("pk")
    return dict(rows.values_list("pk", "claimed_at"))


def sizes(found: WhatIf) -> tuple[int, int]:
    return sum(e.before for _, e in found.courses), sum(e.after for _, e in found.courses)


def change_cap() -> Any:
    cap = FrequencyCap.objects.get(name="day")
    cap.limit, cap.window, cap.length, cap.on_exceed = 2, "rolling_days", 3, "drop"
    return cap


def change_hours() -> Any:
    hours = QuietHours.objects.get()
    hours.begins, hours.ends = time(12), time(20)
    return hours


def no_cap() -> Any:
    cap = FrequencyCap.objects.get(name="day")
    cap.active = False
    return cap


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "limits_with", "seed"),
    [
        (change_cap, limits_with_cap, 1),
        *longer(
            "test_replay_says_what_really_running_the_days_gives",
            (no_cap, limits_with_cap, 2),
            (change_hours, limits_with_quiet_hours, 3),
        ),
    ],
)
def test_replay_says_what_really_running_the_days_gives(
    change: Callable[[], Any], limits_with: Callable[[Any], Any], seed: int
) -> None:
    save_cap("day", limit=1, window="calendar_day")
    save_cap("week", limit=4, window="rolling_days", length=7)
    save_quiet_hours(begins=time(21), ends=time(8))
    enrollments = make_world(seed)
    with transaction.atomic():
        change().save()
        really = run_the_days(enrollments)
        transaction.set_rollback(True)
    as_it_was = run_the_days(enrollments)
    boss = get_user_model().objects.create_superuser("staff")

    found = what_if(read_limits(), limits_with(change()), viewer=boss, now=NOW)

    sent_before = sum(at is not None for at in as_it_was.values())
    sent_after = sum(at is not None for at in really.values())
    assert sizes(found) == (sent_before, sent_after)
    moved = [
        really[pk] - at for pk, at in as_it_was.items() if at is not None and really[pk] is not None
    ]
    assert sum(e.delayed for _, e in found.courses) == sum(by > timedelta(0) for by in moved)
    assert sum(e.sooner for _, e in found.courses) == sum(by < timedelta(0) for by in moved)
    learners = dict(Delivery.objects.values_list("pk", "enrollment_id"))
    touched = {learners[pk] for pk, at in as_it_was.items() if at != really[pk]}
    assert sum(e.learners for _, e in found.courses) == len(touched) > 0


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


FORM = {"name": "day", "scope": "everything", "limit": 1, "window": "rolling_days", "length": 7}
FORM |= {"on_exceed": "drop", "active": "on"}


def make_sent(*hours_ago: int, **fields: Any) -> Enrollment:
    enrollment = fields.pop("enrollment", None) or make_evaluated()
    for each in hours_ago:
        at = utc_now() - each * HOUR
        values = {"planned_at": at, "claimed_at": at, "state": "handed_off"} | fields
        make_delivery(enrollment, send_at=at, finished_at=at, expires_at=at + DAY, **values)
    return enrollment


def test_button_says_what_a_new_cap_would_have_done_and_saves_nothing(staff: Client) -> None:
    FrequencyCap.objects.all().delete()
    QuietHours.objects.all().delete()
    make_sent(100, 60, 30)
    page = reverse("admin:interventions_frequencycap_add")
    address = reverse("admin:interventions_frequencycap_try", args=("new",))
    assert f'formaction="{address}"' in staff.get(page).text

    shown = staff.post(address, FORM, headers={"HX-Request": "true"}).text

    cells = [cell.split("<")[0] for cell in shown.split("<td")[1:]]
    assert [cell.rpartition(">")[2] for cell in cells] == ["3", "3", "1", "2", "0", "0", "1"]
    assert not FrequencyCap.objects.exists()
    assert "<!doctype html>" in staff.post(address, FORM).text.lower()


def test_button_on_quiet_hours_and_wrong_values_get_sentences(staff: Client) -> None:
    hours = save_quiet_hours(begins=time(21), ends=time(8))
    address = reverse("admin:interventions_quiethours_try", args=(hours.pk,))

    wrong = staff.post(address, {"begins": "25 o'clock", "ends": "8 am"}).text
    none = staff.post(address, {"begins": "9pm", "ends": "8 am"}).text

    assert "Correct this first:" in wrong
    assert "There is no 25" in wrong or "not a time of day" in wrong
    assert "No message of your courses was due" in none
    assert staff.get(address).status_code == 405


def test_without_messages_in_the_last_30_days_the_days_before_are_replayed(staff: Client) -> None:
    FrequencyCap.objects.all().delete()
    QuietHours.objects.all().delete()
    make_sent(*(40 * 24 + each for each in (100, 60, 30)))
    address = reverse("admin:interventions_frequencycap_try", args=("new",))

    shown = staff.post(address, FORM, headers={"HX-Request": "true"}).text

    assert "No message was planned in the last 30 days." in shown
    cells = [cell.split("<")[0].rpartition(">")[2] for cell in shown.split("<td")[1:]]
    assert cells == ["3", "3", "1", "2", "0", "0", "1"]


def test_page_says_since_when_messages_are_replayed_if_there_are_more(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sent(100, 60, 30)
    # Of the latest four, one is nothing for limits.
    make_sent(20, state="dropped", reason="no_consent", claimed_at=None)
    address = reverse("admin:interventions_frequencycap_try", args=("new",))
    shown = {}
    for most in (5, 4, 3):
        monkeypatch.setattr(queries, "MOST_MESSAGES", most)
        shown[most] = staff.post(address, FORM, headers={"HX-Request": "true"}).text

    assert "The last 30 days, replayed" in shown[5]
    assert all("planned messages, since" in shown[most] for most in (4, 3))
    boss = get_user_model().objects.get()
    found = what_if(read_limits(), read_limits(), viewer=boss, now=utc_now())
    assert timedelta(hours=60) <= utc_now() - found.since < timedelta(hours=61)


def test_messages_that_reach_back_30_days_are_not_called_cut(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sent(31 * 24, 60, 30)
    monkeypatch.setattr(queries, "MOST_MESSAGES", 3)
    boss = get_user_model().objects.get()

    assert not what_if(read_limits(), read_limits(), viewer=boss, now=utc_now()).is_cut


@pytest.mark.parametrize(("claimed", "after"), [(29 * 24, 0), (25 * 24, 1)])
def test_message_planned_before_the_period_counts_from_when_it_went_out(
    staff: Client, claimed: int, after: int
) -> None:
    FrequencyCap.objects.all().delete()
    enrollment = make_sent(31 * 24, claimed_at=utc_now() - claimed * HOUR)
    make_sent(28 * 24, enrollment=enrollment)
    boss = get_user_model().objects.get()
    cap = FrequencyCap(name="x", limit=1, window="rolling_days", length=2, on_exceed="drop")

    found = what_if(read_limits(), limits_with_cap(cap), viewer=boss, now=utc_now())

    assert sizes(found) == (1, after)


def test_message_to_another_learner_of_the_mailbox_uses_up_the_cap(staff: Client) -> None:
    FrequencyCap.objects.all().delete()
    first = make_sent(31 * 24, claimed_at=utc_now() - 29 * 24 * HOUR)
    sharing = make_learner(email=first.learner.email.upper())
    make_sent(28 * 24, enrollment=make_evaluated(first.course, sharing))
    boss = get_user_model().objects.get()
    cap = FrequencyCap(name="x", limit=1, window="rolling_days", length=2, on_exceed="drop")

    found = what_if(read_limits(), limits_with_cap(cap), viewer=boss, now=utc_now())

    assert sizes(found) == (1, 0)


def test_only_those_who_may_change_the_limit_can_try_it(client: Client, db: None) -> None:
    client.force_login(get_user_model().objects.create_user("viewer", is_staff=True))
    address = reverse("admin:interventions_frequencycap_try", args=("new",))

    assert client.post(address, FORM).status_code == 403
    unknown = reverse("admin:interventions_frequencycap_try", args=("99",))
    assert client.post(unknown, FORM).status_code == 404


def test_messages_of_other_courses_are_not_named(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sent(30)
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.none())
    boss = get_user_model()()

    found = what_if(read_limits(), read_limits(), viewer=boss, now=utc_now())

    assert found.courses == []


def test_replay_takes_a_fixed_number_of_queries(
    staff: Client, django_assert_max_num_queries
) -> None:
    for _ in range(5):
        make_sent(100, 60, 30)
    boss = get_user_model().objects.get()
    limits = read_limits()

    with django_assert_max_num_queries(5):
        what_if(limits, limits, viewer=boss, now=utc_now())
