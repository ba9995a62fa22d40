"""The learner's page answers why there was no message, with the reason that holds just now."""

from datetime import time, timedelta
from html import unescape
from typing import Any

import pytest

from activity.models import Course, Enrollment
from common.clock import utc_now
from interventions.models import Cadence, Delivery
from interventions.operations import (
    PauseNote,
    pause_learner,
    save_cap,
    save_quiet_hours,
    suppress,
)
from interventions.queries.learner_messages import number_waiting
from interventions.sentences import message_sentences, trace_lines
from segmentation.models import Segment
from tests.config.learner_pages import admin, history, section, why
from tests.factories import NOW, make_learner
from tests.interventions.factories import (
    arm_of,
    assign,
    dispatch,
    make_cadence,
    make_counted,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_template,
    make_transition,
    mark_evaluated,
)
from tests.segmentation.factories import QUIET, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def ana() -> Enrollment:
    return make_evaluated(make_live_course(title="Biology"), make_learner(name="Ana Lee"))


@pytest.mark.slow
def test_nothing_has_started(ana: Enrollment) -> None:
    assert why(ana) == "Ana has entered no segment yet, and messages start from segments."

    segment = make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    entered = "Ana entered Quiet on Tuesday 30 September 2025, 13:00 (Europe/London). "
    entry = make_transition(ana, segment)
    assert why(ana) == entered + "What starts from it is decided within seconds."
    entry.processed_at = NOW
    entry.save()
    assert why(ana) == entered + "No nudge or other cadence is active for Quiet."
    type(entry).objects.update(starts=False, cause="edit")
    assert why(ana) == entered + "No nudge or other cadence is active for Quiet."
    make_cadence(segment=segment)
    no = "No message starts from that, because it came from a change of the course, its items"
    assert why(ana) == entered + no + " or a rule."
    type(entry).objects.update(starts=False, cause="time")
    assert "before the other entries of that day are counted" in why(ana)


def test_a_course_that_is_not_live_and_a_learner_who_left(ana: Enrollment) -> None:
    type(ana.course).objects.update(live_since=None)
    ana.course.refresh_from_db()
    assert why(ana) == "The course is not live, so no learner gets messages."

    Enrollment.objects.update(withdrew_at=NOW - DAY)
    assert why(ana) == "Ana left the course on Monday 29 September 2025, 13:00 (Europe/London)."


def nudge(ana: Enrollment, **fields: Any) -> Any:
    segment = make_segment(make_playbook(ana.course), QUIET, name="Quiet")
    template = make_template()
    template.name = "Quiz nudge"
    template.save()
    return make_cadence(segment=segment, template=template, name="Nudge", **fields)


def test_quiet_hours_defer_to_the_morning_if_she_is_still_a_member(ana: Enrollment) -> None:
    save_quiet_hours(begins="21:00", ends="08:00")
    make_delivery(ana, nudge(ana))

    assert why(ana, NOW + 10 * HOUR) == (
        "“Quiz nudge” goes out on Wednesday 1 October 2025, 08:00 (Europe/London), if Ana is still"
        " in Quiet then. It waits, because it is within the quiet hours."
    )
    assert why(ana).startswith("“Quiz nudge” goes out within seconds")


def test_a_waiting_message_names_the_goal_that_would_stop_it(ana: Enrollment) -> None:
    save_quiet_hours(begins=time(13), ends=time(15))
    make_delivery(ana, nudge(ana, goal_rule=where("quiz_attempts", ">=", 1, window=7)))

    assert why(ana).startswith(
        "“Quiz nudge” goes out on Tuesday 30 September 2025, 15:00 (Europe/London), if this is not"
        " yet true: “Made at least 1 quiz attempt in the last 7 days” and Ana is still in Quiet"
        " then."
    )


def test_a_cap_is_named_with_the_message_that_used_it_up(ana: Enrollment) -> None:
    save_cap("1 a day", limit=1, window="calendar_day", on_exceed="defer")
    cadence = nudge(ana)
    make_counted(ana, NOW - HOUR, run=make_run(ana, make_cadence(template=template("Weekly"))))
    make_delivery(ana, cadence)

    assert why(ana) == (
        "“Quiz nudge” goes out on Wednesday 1 October 2025, 00:00 (Europe/London), if Ana is still"
        " in Quiet then. It waits, because the learner has had enough messages: the cap “1 a day”."
        " The cap “1 a day” was used up by “Weekly” on Tuesday 30 September 2025, 12:00"
        " (Europe/London)."
    )


def template(name: str) -> Any:
    made = make_template()
    made.name = name
    made.save()
    return made


def test_a_message_that_a_cap_dropped_is_explained_afterwards(ana: Enrollment) -> None:
    save_cap("1 a day", limit=1, window="calendar_day", on_exceed="drop")
    make_counted(ana, NOW - HOUR, run=make_run(ana, make_cadence(template=template("Weekly"))))
    make_delivery(ana, nudge(ana))
    dispatch()

    assert why(ana, NOW + 2 * DAY) == (
        "“Quiz nudge” was not sent, because the learner has had enough messages: the cap"
        " “1 a day”. That was decided on Tuesday 30 September 2025, 13:00 (Europe/London). The cap"
        " “1 a day” was used up by “Weekly” on Tuesday 30 September 2025, 12:00 (Europe/London)."
        " No other message is planned."
    )


@pytest.mark.slow
def test_the_page_of_a_delivery_says_the_same_as_the_page_of_its_learner(
    ana: Enrollment, admin_client: Any
) -> None:
    save_cap("1 a day", limit=1, window="calendar_day", on_exceed="drop")
    sent = make_run(ana, make_cadence(template=template("Weekly")))
    make_counted(ana, NOW - HOUR, run=sent)
    make_delivery(ana, nudge(ana))
    dispatch()
    dropped = Delivery.objects.get(state="dropped")

    page = unescape(admin_client.get(f"/admin/interventions/delivery/{dropped.pk}/change/").text)

    assert why(ana, NOW + 2 * DAY) == " ".join(
        [*sentences(dropped), "No other message is planned."]
    )
    for sentence in (*sentences(dropped), *trace_lines(dropped, zone="Europe/London")):
        assert sentence in page
    assert "frequency_cap" not in page
    assert "was used up by “Weekly”" in page


@pytest.mark.slow
def test_the_page_of_a_waiting_delivery_says_when_it_goes_out_and_what_would_change_that(
    ana: Enrollment, admin_client: Any
) -> None:
    delivery = make_delivery(ana, nudge(ana), reason="quiet_hours")
    # The page reads the real clock.
    Delivery.objects.update(expires_at=utc_now() + DAY)
    Course.objects.update(ends_on=utc_now().date() + DAY)
    pause_learner(ana.learner_id, paused=True, now=NOW, note=PauseNote("bo", "she asked"))

    page = unescape(admin_client.get(f"/admin/interventions/delivery/{delivery.pk}/change/").text)

    assert "somebody holds all messages to this learner. It goes out when they are resumed." in page
    listed = unescape(admin_client.get("/admin/interventions/delivery/").text)
    assert "somebody holds all messages to this learner" in listed


def sentences(delivery: Delivery) -> list[str]:
    return message_sentences(delivery, viewer=admin(), now=NOW + 2 * DAY)


def test_a_hold_says_what_would_have_to_change(ana: Enrollment) -> None:
    make_delivery(ana, nudge(ana))
    pause_learner(ana.learner_id, paused=True, now=NOW, note=PauseNote("bo", "she asked"))

    assert why(ana) == (
        "“Quiz nudge” waits, because somebody holds all messages to this learner."
        " It goes out when they are resumed."
    )
    assert "All messages were held by bo until now: she asked." in history(ana)


def test_a_learner_without_address_will_not_get_the_message(ana: Enrollment) -> None:
    type(ana.learner).objects.update(email=None)
    ana.learner.refresh_from_db()
    make_delivery(ana, nudge(ana))

    assert why(ana) == (
        "“Quiz nudge” will not be sent, because the learner has no address."
        " An address in the roster would change that."
    )


@pytest.mark.slow
def test_a_learner_whom_no_message_can_reach(ana: Enrollment) -> None:
    cadence = nudge(ana)
    said = {"state": "out", "changed_at": NOW - DAY, "source": "page"}
    ana.learner.consents.create(**said)
    assert why(ana) == (
        "Ana has wanted no messages since Monday 29 September 2025, 13:00 (Europe/London)."
        " Only the learner can change that, on the page of preferences."
    )
    again = {"state": "in", "category": cadence.category, "changed_at": NOW}
    ana.learner.consents.create(**said | again)
    assert "has entered no segment" in why(ana)
    suppress(ana.learner.email.upper(), reason="bounced", now=NOW)
    assert why(ana).startswith("The address of Ana gets no messages since Tuesday")
    type(ana.learner).objects.update(email=None)
    ana.learner.refresh_from_db()
    assert why(ana).startswith("Ana has no address")


def entered(ana: Enrollment, cadence: Any) -> Any:
    return make_transition(ana, cadence.segment, processed_at=NOW, occurred_at=NOW)


@pytest.mark.slow
def test_a_cadence_that_reached_her_before_is_named(ana: Enrollment) -> None:
    cadence = nudge(ana)
    entered(ana, cadence)
    assert why(ana).endswith("“Nudge” was not active then.")

    run = make_run(ana, cadence, started_at=NOW - DAY, ended_at=NOW - HOUR, status="finished")
    assert why(ana).endswith(
        "“Nudge” goes to each learner once. For Ana it began on Monday 29 September 2025, 13:00"
        " (Europe/London)."
    )
    type(cadence).objects.update(reentry="cooldown", cooldown=7 * DAY)
    assert "the last one ended on Tuesday 30 September 2025, 12:00" in why(ana)
    run.transition = ana.transitions.get()
    run.exit_reason = "goal"
    run.save()
    assert "began then and ended on" in why(ana)
    assert "because the learner had reached the goal." in why(ana)


@pytest.mark.slow
def test_a_cadence_of_another_arm_is_named(ana: Enrollment) -> None:
    cadence = nudge(ana)
    experiment = make_experiment(cadence.segment, name="Half", start=False)
    type(cadence).objects.update(arm=arm_of(experiment, "nudge"))
    entered(ana, cadence)
    assert why(ana).endswith(
        "“Nudge” goes only to the arm “nudge” of “Half”, and Ana has no arm in it."
    )
    assign(ana, arm_of(experiment, "control"))
    assert why(ana).endswith("and Ana is in the arm “control”.")


def test_an_entry_from_before_the_course_went_live_started_nothing(ana: Enrollment) -> None:
    entered(ana, nudge(ana))
    type(ana.course).objects.update(live_since=NOW + HOUR)
    ana.course.refresh_from_db()

    assert why(ana, NOW + 2 * HOUR).endswith("The course was not live then, so no message started.")


def test_the_next_step_names_its_conditions(ana: Enrollment) -> None:
    cadence = nudge(ana, goal_rule=where("quiz_attempts", ">=", 1, window=7))
    make_run(ana, cadence, next_position=0, next_at=NOW + DAY)

    assert why(ana) == (
        "“Quiz nudge” of “Nudge” is planned for Wednesday 1 October 2025, 13:00 (Europe/London),"
        " if this is not yet true: “Made at least 1 quiz attempt in the last 7 days” and Ana is"
        " still in Quiet then."
    )


@pytest.mark.slow
def test_the_next_step_of_a_paused_and_of_an_archived_cadence(ana: Enrollment) -> None:
    cadence = nudge(ana, exit_on_leave=False)
    make_run(ana, cadence, next_position=0, next_at=NOW + DAY)
    Cadence.objects.update(paused=True)
    assert why(ana) == (
        "“Quiz nudge” of “Nudge” is planned for Wednesday 1 October 2025, 13:00 (Europe/London)."
        " But its cadence is paused."
    )

    Cadence.objects.update(status="archived")
    gone = "“Quiz nudge” of “Nudge” will not be sent, because its cadence is not active any more."
    assert why(ana) == gone
    Cadence.objects.update(status="active")
    Segment.objects.update(status="archived")
    assert why(ana) == gone


@pytest.mark.slow
def test_the_answer_is_the_message_that_dispatch_sends_first(ana: Enrollment) -> None:
    save_cap("1 a day", limit=1, window="rolling_days", length=1, on_exceed="defer")
    save_quiet_hours(begins="21:00", ends="08:00")
    night = NOW + 10 * HOUR
    for name, priority, hours in (("Minor", 100, 9), ("Major", 10, 10)):
        cadence = make_cadence(template=template(name), priority=priority, exit_on_leave=False)
        at = NOW + hours * HOUR
        make_delivery(ana, cadence, planned_at=at, send_at=at, expires_at=NOW + 7 * DAY)

    assert why(ana, night).startswith(
        "“Major” goes out on Wednesday 1 October 2025, 08:00 (Europe/London)."
    )
    for at in (night, NOW + 20 * HOUR):
        mark_evaluated(ana)
        dispatch(at)
    assert Delivery.objects.get(state="handed_off").step.template.name == "Major"


@pytest.mark.slow
def test_nothing_is_promised_in_a_simulated_course_that_stands_still(ana: Enrollment) -> None:
    never = "will not be sent, because the clock of this simulated course stands still."
    run = make_run(ana, nudge(ana), next_position=0, next_at=NOW + DAY)
    type(ana.course).objects.update(clock_stopped_at=NOW)
    ana = Enrollment.objects.select_related("learner", "course").get()
    assert why(ana) == f"“Quiz nudge” of “Nudge” {never}"

    make_delivery(run=run, send_at=NOW + HOUR)
    assert why(ana) == f"“Quiz nudge” {never}"


def test_message_that_has_waited_too_long_is_not_announced(ana: Enrollment) -> None:
    make_delivery(ana, nudge(ana), expires_at=NOW - HOUR)

    assert why(ana) == "“Quiz nudge” has waited too long and will not be sent."


@pytest.mark.slow
def test_a_control_learner_is_told_from_a_sent_message(ana: Enrollment) -> None:
    cadence = nudge(ana)
    experiment = make_experiment(cadence.segment, name="Half", start=False)
    drawn = assign(ana, arm_of(experiment, "control"))
    make_delivery(run=make_run(ana, cadence, assignment=drawn, ghost=True))
    dispatch()

    assert why(ana) == (
        "“Quiz nudge” was not sent, because chance put the learner into"
        " “control” of the experiment “Half”, which gets no messages so that both can be compared."
        " It would have gone out on Tuesday 30 September 2025, 13:00 (Europe/London)."
        " No other message is planned."
    )
    assert "Drawn into the arm “control” of the experiment “Half”." in history(ana)
    assert section(ana).arms == ["Put by chance into “control” of the experiment “Half”."]


@pytest.mark.slow
def test_a_control_learner_is_promised_no_message(ana: Enrollment) -> None:
    cadence = nudge(ana)
    experiment = make_experiment(cadence.segment, name="Half", start=False)
    drawn = assign(ana, arm_of(experiment, "control"))
    run = make_run(ana, cadence, assignment=drawn, ghost=True, next_position=0, next_at=NOW + DAY)
    no = (
        "is not sent, because chance put the learner into “control” of the experiment “Half”,"
        " which gets no messages so that both can be compared."
    )

    assert why(ana) == f"“Quiz nudge” of “Nudge” {no}"
    make_delivery(run=run, send_at=NOW + HOUR)
    assert why(ana) == f"“Quiz nudge” {no}"
    assert f"“Quiz nudge” {no}" in history(ana)
    assert number_waiting(ana.learner_id) == 0

    make_delivery(ana, make_cadence(template=template("Weekly")), send_at=NOW + 2 * HOUR)
    assert why(ana).startswith("“Weekly” goes out on")
    assert section(ana).others[0].sentences == [f"“Quiz nudge” {no}"]
    assert number_waiting(ana.learner_id) == 1


def test_each_wait_is_named_and_the_message_that_comes_first(ana: Enrollment) -> None:
    save_cap("1 a day", limit=1, window="rolling_days", length=1, on_exceed="defer")
    save_quiet_hours(begins="21:00", ends="08:00")
    make_delivery(ana, nudge(ana))
    make_delivery(ana, make_cadence(template=template("Weekly"), exit_on_leave=False))

    night = NOW + 10 * HOUR
    (other,) = section(ana, night).others

    assert other.sentences == [
        "“Weekly” goes out on Thursday 2 October 2025, 08:00 (Europe/London).",
        (
            "It waits, because it is within the quiet hours, and then because the learner has had"
            " enough messages: the cap “1 a day”."
        ),
        (
            "The cap “1 a day” will be used up by “Quiz nudge” on Wednesday 1 October 2025, 08:00"
            " (Europe/London)."
        ),
    ]
