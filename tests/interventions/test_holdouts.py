"""Holdouts: learners who get no messages, so that the whole programme can be measured."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from common.clock import utc_now
from interventions.models import Delivery, Holdout
from interventions.operations import save_cap
from interventions.policy import holdouts as policy
from interventions.queries.holdouts import held_out_by_course
from tests.factories import NOW, make_enrollment, make_learner
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_cadence,
    make_category,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
)

DAY = timedelta(days=1)
HALF = policy.Holdout("2025", 0.5, "seed", NOW - DAY)


def hold_out(**fields: Any) -> Holdout:
    """Return a holdout of half of the learners that has begun."""
    values = {"name": "2025", "share": "0.5", "seed": "seed", "starts_at": NOW - DAY, **fields}
    return Holdout.objects.create(**values)


def held(number: int = 1, *, drawn: bool = True) -> list[int]:
    """Return the first ids that no table has and that the seed draws, or does not."""
    ids = (each for each in range(10**6, 2 * 10**6) if policy.is_held_out(each, HALF) == drawn)
    return [next(ids) for _ in range(number)]


def make_held_out(*, drawn: bool = True, **fields: Any) -> Delivery:
    [pk] = held(drawn=drawn)
    return make_delivery(make_evaluated(learner=make_learner(pk=pk)), **fields)


def found(delivery: Delivery) -> Delivery:
    return Delivery.objects.get(pk=delivery.pk)


def test_a_draw_never_changes() -> None:
    # Golden: these learners are held out for as long as the holdout runs.
    assert [each for each in range(1, 21) if policy.is_held_out(each, HALF)] == [
        1,
        2,
        3,
        4,
        8,
        10,
        11,
        13,
        16,
        17,
    ]


def test_a_share_holds_out_about_that_share() -> None:
    tenth = policy.Holdout("2025", 0.1, "seed", NOW)
    drawn = sum(policy.is_held_out(each, tenth) for each in range(10_000))

    # Four standard deviations.
    assert abs(drawn - 1_000) < 120


def test_a_larger_share_keeps_those_of_a_smaller_one() -> None:
    tenth, half = (policy.Holdout("", share, "seed", NOW) for share in (0.1, 0.5))

    drawn = [each for each in range(1_000) if policy.is_held_out(each, tenth)]

    assert all(policy.is_held_out(each, half) for each in drawn)


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        (NOW - timedelta(microseconds=1), False),
        (NOW, True),
        (NOW + DAY - timedelta(microseconds=1), True),
        (NOW + DAY, False),
    ],
    ids=["before", "at its beginning", "at its last moment", "at its end"],
)
def test_a_holdout_holds_from_its_beginning_until_its_end(at: datetime, holds: bool) -> None:
    [learner] = held()
    one = policy.Holdout("2025", 0.5, "seed", NOW, NOW + DAY)

    assert (policy.holdout_of(learner, 1, [one], now=at) is one) is holds


def test_a_holdout_of_a_course_holds_in_that_course_only() -> None:
    [learner] = held()
    one = policy.Holdout("2025", 0.5, "seed", NOW, course_id=1)

    assert policy.holdout_of(learner, 1, [one], now=NOW) is one
    assert policy.holdout_of(learner, 2, [one], now=NOW) is None


@pytest.mark.django_db
def test_a_held_out_learner_gets_no_message_and_the_others_do() -> None:
    hold_out()
    mine, other = make_held_out(), make_held_out(drawn=False)

    sent, _ = dispatch()

    assert [message.message_id for message in sent] == [found(other).message_id]
    mine.refresh_from_db()
    assert (mine.state, mine.reason) == ("dropped", "holdout")
    assert mine.trace[-1]["detail"] == "2025"


@pytest.mark.django_db
def test_required_messages_reach_a_held_out_learner() -> None:
    hold_out()
    make_held_out(cadence=make_cadence(category=make_category(required=True)))

    assert len(dispatch()[0]) == 1


@pytest.mark.django_db
def test_ghost_of_a_held_out_learner_uses_up_no_cap_either() -> None:
    hold_out()
    save_cap("one", limit=1, window="calendar_day")
    [pk] = held()
    enrollment = make_evaluated(learner=make_learner(pk=pk))
    cadence = make_cadence()
    experiment = make_experiment(cadence.segment, start=False)
    ghost = make_run(
        enrollment,
        cadence,
        ghost=True,
        assignment=assign(enrollment, arm_of(experiment, "control")),
    )
    delivery = make_delivery(run=ghost)
    required = make_delivery(
        enrollment, make_cadence(category=make_category(required=True)), priority=500
    )

    sent, _ = dispatch()

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("dropped", "holdout")
    assert [message.message_id for message in sent] == [found(required).message_id]


@pytest.mark.django_db
def test_page_counts_the_learners_of_each_course() -> None:
    course = make_live_course()
    for pk in (*held(2), *held(3, drawn=False)):
        make_enrollment(course, make_learner(pk=pk))
    make_enrollment(course, make_learner(pk=held(3)[2]), withdrew_at=NOW)
    boss = get_user_model().objects.create_superuser("staff")

    [one] = held_out_by_course(hold_out(), viewer=boss)

    assert (one.course, one.learners, one.held_out) == (course, 5, 2)


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def page(action: str, *args: int) -> str:
    return reverse(f"admin:interventions_holdout_{action}", args=args)


def form_of(at: datetime, **fields: Any) -> dict[str, Any]:
    values = {"name": "2026", "share": "0.05", "seed": "x", "starts_at_2": "UTC"}
    return values | {"starts_at_0": f"{at:%Y-%m-%d}", "starts_at_1": f"{at:%H:%M:%S}"} | fields


def test_holdout_is_made_on_its_page(staff: Client) -> None:
    staff.post(page("add"), form_of(utc_now() + DAY))

    assert Holdout.objects.get().share == Decimal("0.05")


def test_beginning_in_the_past_is_refused_with_a_sentence(staff: Client) -> None:
    response = staff.post(page("add"), form_of(utc_now() - DAY))

    assert "This lies in the past." in response.text
    assert 'value="2026"' in response.text
    assert not Holdout.objects.exists()


def test_draw_of_a_holdout_that_has_begun_cannot_be_changed(staff: Client) -> None:
    one = hold_out()

    staff.post(page("change", one.pk), {"name": "new", "share": "0.1", "seed": "other"})

    one.refresh_from_db()
    assert (one.name, f"{one.share:.1f}", one.seed) == ("new", "0.5", "seed")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [{"share": "0.6"}, {"share": "0"}, {"ends_at": NOW - 2 * DAY}, {"seed": ""}],
    ids=["most learners", "nobody", "ends before it starts", "no seed"],
)
def test_table_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        hold_out(**fields)
