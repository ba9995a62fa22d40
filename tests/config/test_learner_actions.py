"""What staff do for one learner on the learner's page, with the rights that it needs."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from activity.models import Course, Enrollment
from common.clock import utc_now
from interventions.models import Delivery, LearnerPause, Run, RunStatus
from interventions.operations import save_cap, start_manually, stop_run
from interventions.stages.plan import plan_due
from segmentation.models import Override
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
)
from tests.segmentation.factories import QUIET, make_playbook, make_segment

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> Enrollment:
    today = utc_now()
    course = make_live_course(ends_on=(today + timedelta(days=30)).date())
    return make_evaluated(course, make_learner(name="Ana Lee"))


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("boss"))
    return client


def with_rights(client: Client, *rights: str) -> Client:
    user = get_user_model().objects.create_user("bo", is_staff=True)
    seen = ("view_learner", "view_enrollment", "view_segment", "view_run", "view_cadence")
    user.user_permissions.set(Permission.objects.filter(codename__in=(*seen, *rights)))
    client.force_login(user)
    return client


def post(client: Client, name: str, *args: Any, **form: str) -> Any:
    return client.post(reverse(f"learner-{name}", args=args), form, follow=True)


@pytest.mark.slow
def test_messages_are_held_with_a_reason_and_resumed(staff: Client, ana: Enrollment) -> None:
    delivery = make_delivery(ana)

    page = staff.get(reverse("learner", args=(ana.learner_id,))).text
    assert "This holds 1 waiting message." in page
    held = post(staff, "hold", ana.learner_id, reason="She is ill")

    assert "All messages to Ana are held" in held.text
    assert "by boss: She is ill" in held.text
    assert dispatch()[0] == []
    resumed = post(staff, "resume", ana.learner_id)
    assert "Messages to Ana go out again" in resumed.text
    assert LearnerPause.objects.get().ended_by == "boss"
    assert len(dispatch()[0]) == 1
    delivery.refresh_from_db()
    assert delivery.state == "handed_off"


@pytest.mark.parametrize("reason", ["", "x" * 301, "a\x00b"])
def test_a_hold_without_a_usable_reason_says_so_and_keeps_it(
    staff: Client, ana: Enrollment, reason: str
) -> None:
    answer = post(staff, "hold", ana.learner_id, reason=reason)

    assert answer.status_code == 422
    assert "errorlist" in answer.text
    assert not LearnerPause.objects.exists()
    assert ("x" * 301 in answer.text) == (len(reason) == 301)


def test_to_hold_needs_less_than_to_resume(client: Client, ana: Enrollment) -> None:
    with_rights(client, "change_sitepause")

    assert post(client, "hold", ana.learner_id, reason="calm").status_code == 200
    assert post(client, "resume", ana.learner_id).status_code == 403
    assert LearnerPause.objects.get().ended_at is None


def test_without_rights_nothing_is_done(client: Client, ana: Enrollment) -> None:
    segment = make_segment(make_playbook(ana.course), QUIET)
    cadence = make_cadence(trigger="manual")
    run = make_run(ana, cadence)
    with_rights(client)
    assert post(client, "hold", ana.learner_id, reason="calm").status_code == 403
    for change in ("add", "remove", "clear"):
        assert post(client, "segment", ana.pk, segment.pk, change).status_code == 403
    assert post(client, "start", ana.pk, cadence.pk).status_code == 403
    assert post(client, "stop", run.pk).status_code == 403
    assert client.get(reverse("learner-send", args=(ana.pk,))).status_code == 403

    shown = client.get(reverse("learner", args=(ana.learner_id,))).text
    assert '<form method="post"' not in shown
    assert not LearnerPause.objects.exists()
    assert not Override.objects.exists()


def test_every_action_is_a_post(staff: Client, ana: Enrollment) -> None:
    for name, args in (
        ("hold", (ana.learner_id,)),
        ("resume", (ana.learner_id,)),
        ("segment", (ana.pk, 1, "add")),
        ("start", (ana.pk, 1)),
        ("stop", (1,)),
    ):
        assert staff.get(reverse(f"learner-{name}", args=args)).status_code == 405


@pytest.mark.slow
def test_a_learner_is_added_removed_and_left_to_the_rule(staff: Client, ana: Enrollment) -> None:
    segment = make_segment(make_playbook(ana.course), QUIET, name="Quiet")

    assert (
        "Ana is added to Quiet by hand." in post(staff, "segment", ana.pk, segment.pk, "add").text
    )
    assert Override.objects.get().kind == "added"
    shown = post(staff, "segment", ana.pk, segment.pk, "remove").text
    assert "Removed by hand by boss" in shown
    assert "Let the rule of Quiet decide again" in shown
    for _ in range(2):
        post(staff, "segment", ana.pk, segment.pk, "clear")
    assert not Override.objects.exists()


@pytest.mark.slow
def test_the_form_names_what_would_start(staff: Client, ana: Enrollment) -> None:
    segment = make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    page = reverse("learner", args=(ana.learner_id,))
    assert "No cadence starts from it." in staff.get(page).text

    make_cadence(segment=segment, name="Nudge")
    make_cadence(segment=segment, name="Old", status="archived")
    assert "“Nudge” can start from it." in staff.get(page).text


@pytest.mark.slow
def test_nothing_is_said_to_start_where_no_message_goes_out(staff: Client, ana: Enrollment) -> None:
    make_cadence(segment=make_segment(make_playbook(ana.course), QUIET))
    manual = make_cadence(trigger="manual", name="Extra help")
    page = reverse("learner", args=(ana.learner_id,))
    Course.objects.update(live_since=None)
    assert "because the course is not live." in staff.get(page).text

    Course.objects.update(clock_stopped_at=NOW)
    assert "because the clock of this simulated course stands still." in staff.get(page).text
    offered = staff.get(reverse("learner-send", args=(ana.pk,))).text
    assert "so no message goes out any more." in offered
    assert "<button>Send" not in offered
    assert "no message goes out any more" in post(staff, "start", ana.pk, manual.pk).text
    assert not Run.objects.exists()


@pytest.mark.slow
def test_a_change_that_cannot_be_made_says_why(staff: Client, ana: Enrollment) -> None:
    elsewhere = make_segment(make_playbook(), QUIET)

    said = post(staff, "segment", ana.pk, elsewhere.pk, "add").text
    assert "is not kept for that course" in said
    assert post(staff, "segment", ana.pk, elsewhere.pk, "destroy").status_code == 404
    assert post(staff, "segment", ana.pk, 0, "add").status_code == 404


@pytest.mark.slow
def test_a_cadence_is_sent_by_hand_once_and_stopped(staff: Client, ana: Enrollment) -> None:
    cadence = make_cadence(trigger="manual", name="Extra help", steps=2)
    make_cadence(trigger="manual", name="Draft", status="draft")

    offered = staff.get(reverse("learner-send", args=(ana.pk,))).text
    assert "Extra help</strong>: 2 messages." in offered
    assert "goes out within seconds" in offered
    assert "Draft" not in offered

    assert "is started for Ana" in post(staff, "start", ana.pk, cadence.pk).text
    again = post(staff, "start", ana.pk, cadence.pk).text
    assert "is in “Extra help” now" in again
    run = Run.objects.get()
    assert "“Extra help” was started by hand." in again
    assert "Ana is in it now" in staff.get(reverse("learner-send", args=(ana.pk,))).text
    plan_due(now=utc_now())

    assert "is stopped" in post(staff, "stop", run.pk).text
    run.refresh_from_db()
    assert (run.status, run.exit_reason) == (RunStatus.EXITED, "stopped")
    assert Delivery.objects.get().state == "dropped"
    assert "had ended before" in post(staff, "stop", run.pk).text


@pytest.mark.slow
def test_a_cap_holds_what_is_sent_by_hand(staff: Client, ana: Enrollment) -> None:
    save_cap("1 a day", limit=1, window="rolling_hours", length=24, on_exceed="defer")
    make_counted(ana, utc_now())
    cadence = make_cadence(trigger="manual", name="Extra help")

    offered = staff.get(reverse("learner-send", args=(ana.pk,))).text
    assert "the cap “1 a day”" in offered

    post(staff, "start", ana.pk, cadence.pk)
    now = utc_now()
    plan_due(now=now)
    assert dispatch(now)[0] == []


def test_only_what_is_started_by_hand_is_started_and_stopped(
    staff: Client, ana: Enrollment
) -> None:
    triggered = make_cadence()
    elsewhere = make_cadence(
        trigger="manual", segment=make_segment(make_playbook(make_live_course()), QUIET)
    )
    assert post(staff, "stop", make_run(ana, triggered).pk).status_code == 404
    for cadence in (triggered, elsewhere):
        assert post(staff, "start", ana.pk, cadence.pk).status_code == 404
    assert "No cadence can be sent by hand yet" in (
        staff.get(reverse("learner-send", args=(ana.pk,))).text
    )


def test_stopping_drops_what_waits_and_leaves_what_was_sent(ana: Enrollment) -> None:
    run = start_manually(make_cadence(trigger="manual", steps=2).pk, ana.pk, now=NOW)
    assert run is not None
    plan_due(now=NOW)
    assert len(dispatch()[0]) == 1

    assert stop_run(run.pk, now=NOW)
    assert not stop_run(run.pk, now=NOW)

    plan_due(now=NOW + timedelta(days=2))
    assert [each.state for each in Delivery.objects.all()] == ["handed_off"]


def test_the_offers_cost_the_same_however_many_there_are(
    staff: Client, ana: Enrollment, django_assert_max_num_queries: Any
) -> None:
    save_cap("1 a day", limit=1, window="rolling_hours", length=24, on_exceed="defer")
    make_counted(ana, utc_now())
    for _ in range(5):
        make_cadence(trigger="manual")

    with django_assert_max_num_queries(14):
        offered = staff.get(reverse("learner-send", args=(ana.pk,))).text
    # Each is looked at alone: none waits for another that was not chosen.
    assert offered.count("was used up by") == 5
