"""A learner who enters again during the pause gets a run that begins at its end."""

import random
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from common.dates import instant_text
from experiments.models import DeliveryOutcome
from interventions.models import Cadence, Delivery, Run
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_any_segment,
    make_cadence,
    make_evaluated,
    make_experiment,
    make_run,
    make_transition,
)
from tests.long import longer

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
PAUSE = 3 * DAY


def make_again(**fields) -> Cadence:
    return make_cadence(**{"reentry": "cooldown", "cooldown": PAUSE, **fields})


def ended(enrollment, cadence: Cadence, at: datetime, **fields) -> Run:
    return make_run(enrollment, cadence, status="finished", started_at=NOW, ended_at=at, **fields)


def happen(enrollment, cadence: Cadence, kind: str, at: datetime) -> None:
    make_transition(enrollment, cadence.segment, kind, occurred_at=at, next_attempt_at=at)
    react_due(now=at)


def test_a_learner_who_enters_during_the_pause_and_stays_starts_at_its_end() -> None:
    enrollment, cadence = make_evaluated(), make_again()
    ended(enrollment, cadence, NOW + DAY)

    happen(enrollment, cadence, "enter", NOW + 2 * DAY)

    run = Run.objects.get(status="active")
    end = NOW + DAY + PAUSE
    assert (run.waits_until, run.next_at) == (end, end)
    assert plan_due(now=end - timedelta(seconds=1)) == 0
    assert plan_due(now=end) == 1
    assert len(dispatch(end)[0]) == 1
    run.refresh_from_db()
    assert run.waits_until is None


@pytest.mark.parametrize("exit_on_leave", [True, False])
def test_a_learner_who_leaves_before_the_end_of_the_pause_gets_nothing(
    exit_on_leave: bool,
) -> None:
    enrollment, cadence = make_evaluated(), make_again(exit_on_leave=exit_on_leave)
    ended(enrollment, cadence, NOW + DAY)
    happen(enrollment, cadence, "enter", NOW + 2 * DAY)

    happen(enrollment, cadence, "leave", NOW + 3 * DAY)

    assert plan_due(now=NOW + 5 * DAY) == 0
    happen(enrollment, cadence, "enter", NOW + 5 * DAY)
    assert plan_due(now=NOW + 5 * DAY) == 1


def test_a_learner_who_leaves_and_returns_in_the_pause_waits_for_its_end() -> None:
    enrollment, cadence = make_evaluated(), make_again()
    ended(enrollment, cadence, NOW + DAY)
    for hours, kind in ((48, "enter"), (60, "leave"), (72, "enter"), (80, "leave"), (90, "enter")):
        happen(enrollment, cadence, kind, NOW + timedelta(hours=hours))

    assert Run.objects.get(status="active").next_at == NOW + DAY + PAUSE
    assert not Delivery.objects.exists()
    assert not DeliveryOutcome.objects.exists()


def test_the_pause_counts_from_the_last_ended_run() -> None:
    enrollment, cadence = make_evaluated(), make_again()
    make_run(enrollment, cadence, status="exited", exit_reason="goal", started_at=NOW, ended_at=NOW)
    ended(enrollment, cadence, NOW + 3 * DAY)

    happen(enrollment, cadence, "enter", NOW + 4 * DAY)

    assert Run.objects.get(status="active").waits_until == NOW + 6 * DAY


def test_a_run_that_has_begun_makes_a_pause_and_survives_leaving() -> None:
    enrollment, cadence = make_evaluated(), make_again(exit_on_leave=False)
    ended(enrollment, cadence, NOW + DAY)
    happen(enrollment, cadence, "enter", NOW + 2 * DAY)
    end = NOW + DAY + PAUSE
    plan_due(now=end)

    happen(enrollment, cadence, "leave", end)
    dispatch(end)
    plan_due(now=end)
    happen(enrollment, cadence, "enter", end + DAY)

    statuses = list(Run.objects.order_by("pk").values_list("status", "waits_until"))
    assert statuses == [("finished", None), ("finished", None), ("active", end + PAUSE)]


@pytest.mark.parametrize("ghost", [False, True], ids=["treated", "control"])
def test_a_control_waits_as_the_treated_do(ghost: bool) -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False)
    nudge, control = arm_of(experiment, "nudge"), arm_of(experiment, "control")
    cadence = make_again(segment=segment, arm=nudge, ghost_for=control)
    enrollment = make_evaluated()
    assignment = assign(enrollment, control if ghost else nudge)
    ended(enrollment, cadence, NOW + DAY, assignment=assignment, ghost=ghost)

    happen(enrollment, cadence, "enter", NOW + 2 * DAY)

    run = Run.objects.get(status="active")
    assert (run.ghost, run.assignment) == (ghost, assignment)
    assert run.waits_until == NOW + DAY + PAUSE
    plan_due(now=run.waits_until)
    dispatch(run.waits_until)
    assert DeliveryOutcome.objects.get().outcome == ("ghost" if ghost else "handed_off")


@pytest.mark.parametrize(
    "fields", [{"trigger": "leave"}, {"cooldown": timedelta(days=400)}], ids=["leaving", "too long"]
)
def test_a_run_that_leaving_cannot_end_does_not_wait(fields: dict) -> None:
    enrollment, cadence = make_evaluated(), make_again(**fields)
    ended(enrollment, cadence, NOW + timedelta(hours=1))

    happen(enrollment, cadence, cadence.trigger, NOW + timedelta(hours=2))

    assert not Run.objects.filter(status="active").exists()


def test_the_list_of_runs_shows_the_end_of_the_wait(client: Client, admin_user: User) -> None:
    enrollment, cadence = make_evaluated(), make_again()
    ended(enrollment, cadence, NOW + DAY)
    happen(enrollment, cadence, "enter", NOW + 2 * DAY)
    client.force_login(admin_user)

    page = client.get("/admin/interventions/run/").text

    until = instant_text(NOW + DAY + PAUSE, zone="Europe/London")
    assert f"waits for the end of the pause, {until}" in page


def test_the_database_refuses_a_wait_for_a_past_instant() -> None:
    with pytest.raises(IntegrityError, match="run_waits_for_what_is_to_come"), transaction.atomic():
        make_run(make_evaluated(), waits_until=NOW)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [0, *longer("test_any_history_with_kills_and_reruns_follows_the_re_entry_rule", 1, 2)]
)
def test_any_history_with_kills_and_reruns_follows_the_re_entry_rule(seed: int) -> None:
    rng = random.Random(seed)
    enrollment, cadence = make_evaluated(), make_again()
    # The expected instants of the messages, by the rule in plain Python.
    expected: list[datetime] = []
    waiting, free_at = None, NOW
    for hour in range(0, 24 * 12, 12):
        now = NOW + timedelta(hours=hour)
        if waiting is not None and waiting <= now:
            expected.append(waiting)
            # The message is sent at once, so the run ends and the pause begins.
            waiting, free_at = None, now + PAUSE
        kind = rng.choice(["", "enter", "leave"])
        if kind == "enter" and waiting is None:
            waiting = max(now, free_at)
        elif kind == "leave":
            waiting = None
        _work(rng, now)
        if kind:
            make_transition(enrollment, cadence.segment, kind, occurred_at=now, next_attempt_at=now)
        _work(rng, now)

        if waiting == now:
            expected.append(now)
            waiting, free_at = None, now + PAUSE

    planned = Delivery.objects.order_by("planned_at").values_list("planned_at", flat=True)
    assert list(planned) == expected
    assert Delivery.objects.exclude(state="handed_off").count() == 0


def _work(rng: random.Random, now: datetime) -> None:
    """Run the stages. Some are killed before they commit and then run again."""
    for stage in (react_due, plan_due):
        if rng.random() < 0.5:
            with transaction.atomic():
                stage(now=now)
                transaction.set_rollback(True)
        stage(now=now)
    dispatch(now)
    plan_due(now=now)
