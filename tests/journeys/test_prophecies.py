"""What a learner's page says will go out, and when, is what dispatch then does."""

import random
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from activity.access import COMMAND_LINE
from activity.models import Due, Enrollment, Learner
from interventions.models import Delivery, LearnerPause, Nudge
from interventions.operations import (
    NudgeFields,
    NudgeMessage,
    create_nudge,
    pause_learner,
    save_cap,
    save_quiet_hours,
    suppress,
    unsubscribe,
)
from interventions.queries.expected_messages import Waiting, waiting_messages
from interventions.queries.forecast import forecast, unsaved_cadence
from interventions.queries.limits import read_limits
from interventions.queries.nudges import first_members
from interventions.render.links import LinkOwner
from interventions.stages.plan import plan_due
from segmentation.models import Membership
from tests.factories import make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_category,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_template,
)
from tests.long import longer
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

# The clocks of Brussels are set back in the night after.
START = datetime(2025, 10, 25, 15, 7, tzinfo=UTC)
# Stages run at each of these steps, and at each instant that was said.
STEP, USUAL_STEP = timedelta(hours=2), timedelta(minutes=20)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ZONES = ("", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe")
CAPS = (
    ("1 a day", {"limit": 1, "window": "calendar_day"}),
    ("1 in 20 hours", {"limit": 1, "window": "rolling_hours", "length": 20}),
    ("2 in 3 days", {"limit": 2, "window": "rolling_days", "length": 3}),
    ("3 a week", {"limit": 3, "window": "calendar_week"}),
)


def make_limits(draw: random.Random) -> None:
    begins, ends = draw.choice([(time(21), time(8)), (time(0), time(2, 30)), (time(2), time(3))])
    save_quiet_hours(begins=begins, ends=ends)
    for name, values in draw.sample(CAPS, draw.randint(0, 3)):
        on_exceed = "drop" if draw.random() < 0.2 else "defer"
        save_cap(name, scope="everything", on_exceed=on_exceed, **values)


def make_person(draw: random.Random, course: Any, mailbox: int) -> Enrollment:
    learner = make_learner(
        time_zone=draw.choice(ZONES),
        email=None if draw.random() < 0.1 else f"p{mailbox}@example.org",
    )
    gone = START - DAY if draw.random() < 0.05 else None
    enrollment = make_evaluated(course, learner)
    Enrollment.objects.filter(pk=enrollment.pk).update(withdrew_at=gone)
    return enrollment


def make_messages(draw: random.Random, enrollment: Enrollment, cadences: list[Any]) -> None:
    for cadence in draw.sample(cadences, draw.randint(1, len(cadences))):
        run = make_run(enrollment, cadence, ghost=draw.random() < 0.2, started_at=START - DAY)
        at = START + timedelta(minutes=draw.randint(-600, 1500))
        make_delivery(
            run=run,
            planned_at=min(at, START),
            send_at=at,
            expires_at=at + timedelta(hours=draw.choice([6, 30, 96, 168])),
        )
    if draw.random() < 0.5:
        make_counted(
            enrollment, START - timedelta(hours=draw.randint(1, 60)), cadence=make_cadence()
        )


def spoil(draw: random.Random, enrollment: Enrollment) -> None:
    """Give a few learners a reason to get nothing."""
    kind = draw.choice(["", "", "", "", "suppressed", "unsubscribed", "paused"])
    learner = enrollment.learner
    if kind == "suppressed" and learner.email:
        suppress(learner.email, reason="bounced", now=START - DAY)
    elif kind == "unsubscribed":
        delivery = Delivery.objects.filter(learner=learner).first()
        assert delivery is not None
        owner = LinkOwner(learner.pk, enrollment.pk, delivery.key)
        if draw.random() < 0.5:
            unsubscribe(owner, source="page", now=START - HOUR)
    elif kind == "paused":
        pause_learner(learner.pk, paused=True, now=START - HOUR)


def drive(until: datetime, instants: set[datetime], *, step: timedelta) -> None:
    ticks = {START + step * n for n in range(int((until - START) / step))}
    for at in sorted(ticks | {each for each in instants if each < until}):
        Due.objects.update(due_at=None)
        plan_due(now=at)
        dispatch(at)


def kept(waiting: Waiting, until: datetime) -> str:
    """Return what is wrong with the prophecy, or nothing."""
    now, said = Delivery.objects.get(pk=waiting.delivery.pk), waiting.expectation
    went_out = now.claimed_at if now.state in ("handed_off", "ghost") else None
    if said.at is not None:
        is_right = went_out == (said.at if said.at < until else None)
        return "" if is_right else f"said {said.at}, went out {went_out} ({now.state})"
    if said.end is None:
        # A message that is held expires when it is released.
        is_held = LearnerPause.objects.filter(learner=now.learner_id).exists()
        is_right = is_held or now.state == "expired" or waiting.delivery.expires_at >= until
    elif now.state == "dropped":
        is_right = now.reason == said.end.reason
    else:
        is_right = now.state in ("planned", "expired")
    return "" if is_right else f"said {said.end}, is {now.state} {now.reason}"


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seed", "step"),
    [(0, STEP), *longer("test_what_is_said_comes_true", (0, USUAL_STEP), (1, USUAL_STEP))],
)
def test_what_is_said_comes_true(seed: int, step: timedelta) -> None:
    draw = random.Random(seed)
    course = make_live_course(
        time_zone="Europe/Brussels", ends_on="2025-12-31", live_since=START - 30 * DAY
    )
    make_limits(draw)
    uncapped = make_category(capped=False, quiet=False)
    windows: list[dict[str, Any]] = [{}, {"window_from": time(9), "window_until": time(11, 30)}]
    cadences = [
        make_cadence(
            trigger="manual",
            template=make_template(uncapped if number == 3 else None),
            priority=draw.choice([10, 50, 100]),
            **draw.choice(windows),
        )
        for number in range(4)
    ]
    # The last three share a mailbox, and so its caps.
    people = [make_person(draw, course, min(number, 9)) for number in range(12)]
    for enrollment in people:
        make_messages(draw, enrollment, cadences)
        spoil(draw, enrollment)
    learners = Learner.objects.filter(enrollments__in=people)
    said = [
        each for one in learners for each in waiting_messages(one, now=START, viewer=COMMAND_LINE)
    ]
    until = START + 5 * DAY

    drive(until, {each.expectation.at for each in said if each.expectation.at}, step=step)

    wrong = [
        f"{each.delivery.learner} {each.delivery.priority} {each.delivery.send_at}: {fault}"
        for each in said
        if (fault := kept(each, until))
    ]
    assert len(said) > 15
    assert wrong == []


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seed", "step"),
    [(1, STEP), *longer("test_forecast_of_a_nudge_comes_true", (1, USUAL_STEP), (5, USUAL_STEP))],
)
def test_forecast_of_a_nudge_comes_true(seed: int, step: timedelta) -> None:
    draw = random.Random(seed)
    course = make_live_course(
        time_zone="Europe/Brussels", ends_on="2025-12-31", live_since=START - 30 * DAY
    )
    make_limits(draw)
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    cadences = [make_cadence(trigger="manual") for _ in range(2)]
    people = [make_person(draw, course, min(number, 8)) for number in range(12)]
    for enrollment in people:
        make_messages(draw, enrollment, cadences)
        spoil(draw, enrollment)
        Membership.objects.create(
            segment=segment, enrollment=enrollment, entered_at=START - DAY, version=1
        )
    hours = draw.choice([(None, None), (time(9), time(11, 30))])
    fields = NudgeFields(
        name="N",
        segment=segment,
        category=make_category(),
        messages=[NudgeMessage("Hello", "<p>Try the quiz.</p>", draw.choice([0, 3, 30]) * HOUR)],
        window_from=hours[0],
        window_until=hours[1],
        include_present=True,
    )
    viewer = User(is_superuser=True, is_active=True)
    found = forecast(
        first_members(segment.pk, viewer=viewer, most=50),
        cadence=unsaved_cadence(
            fields.category, segment=segment, window_from=hours[0], window_until=hours[1]
        ),
        delay=fields.messages[0].delay,
        limits=read_limits(),
        now=START,
    )
    key = uuid4()
    Nudge.objects.create(key=key, saved_at=START, version=1)
    create_nudge(key, version=1, fields=fields, viewer=COMMAND_LINE, now=START)

    drive(START + 9 * DAY, {found.first_at} if found.first_at else set(), step=step)

    sent = Delivery.objects.filter(run__cadence__nudge__key=key, state="handed_off")
    assert found.reached == sent.count() > 0
    assert found.first_at == min(sent.values_list("claimed_at", flat=True))
    assert found.learners == 12 == found.reached + sum(number for _, number in found.others)
