"""The page of a cadence that shows how far its learners came."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from activity.models import Course, Enrollment
from activity.operations import ingest
from common.archive import month_of
from common.clock import utc_now
from config.views import counting
from config.views.funnel_page import stages_of
from interventions.charts import Bar, funnel_chart
from interventions.models import Cadence, Delivery, Receipt, Step
from interventions.queries import funnel as queries
from interventions.queries.funnel import CadenceFunnel, Funnel, Unsent, cadence_funnel
from tests.factories import NOW, make_event
from tests.interventions.factories import (
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
)
from tests.segmentation.factories import ACTED_TODAY

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SENT = {"state": "handed_off", "claimed_at": NOW, "finished_at": NOW}
DROPPED = {"state": "dropped", "finished_at": NOW}


@pytest.fixture
def staff(client: Client) -> Client:
    cache.clear()
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def course() -> Course:
    return make_live_course(title="Biology")


def make_message(cadence: Cadence, enrollment: Enrollment, **fields: Any) -> Delivery:
    return make_delivery(
        run=make_run(enrollment, cadence, status="finished", ended_at=NOW), **fields
    )


def make_sent(cadence: Cadence, course: Course, *seen: str) -> Delivery:
    """Return a message to a learner of its own, of which these instants are known."""
    message = make_message(cadence, make_evaluated(course), **SENT)
    Receipt.objects.create(delivery=message, **{f"{name}_at": NOW for name in seen})
    return message


def read(cadence: Cadence, *courses: Course) -> CadenceFunnel:
    return cadence_funnel(cadence, courses or [*Course.objects.all()], now=NOW)


def test_each_stage_counts_the_learners_who_came_so_far(course: Course) -> None:
    cadence = make_cadence()
    make_sent(cadence, course)
    make_sent(cadence, course, "delivered")
    make_sent(cadence, course, "delivered", "opened")
    # Pictures were not loaded, and the provider was silent: the click shows both.
    make_sent(cadence, course, "clicked")
    make_message(cadence, make_evaluated(course))

    found = read(cadence).whole

    assert (found.planned, found.sent, found.delivered, found.opened, found.clicked) == (
        5, 4, 3, 2, 1,
    )  # fmt: skip


def test_opens_by_machines_are_left_out(course: Course) -> None:
    cadence = make_cadence()
    make_sent(cadence, course, "delivered", "machine_opened", "machine_clicked")
    make_sent(cadence, course, "delivered", "machine_opened", "opened")

    found = read(cadence).whole

    assert (found.opened, found.clicked, found.by_machine) == (1, 0, 1)


def test_learner_with_many_messages_counts_once(course: Course) -> None:
    cadence, ana = make_cadence(), make_evaluated(course)
    for _ in range(3):
        make_message(cadence, ana, **SENT)
    elsewhere = make_evaluated(make_live_course(), ana.learner)
    make_message(cadence, elsewhere, **DROPPED, reason="opted_out")

    assert read(cadence).whole == Funnel(planned=1, sent=1)
    assert read(cadence, elsewhere.course).whole.unsent == (Unsent("dropped", "opted_out", 1),)


def test_those_to_whom_nothing_was_sent_add_up_by_their_latest_message(course: Course) -> None:
    cadence = make_cadence()
    make_sent(cadence, course)
    for reason in ("opted_out", "opted_out", "no_address"):
        make_message(cadence, make_evaluated(course), **DROPPED, reason=reason)
    bo = make_evaluated(course)
    make_message(cadence, bo, **DROPPED, reason="frequency_cap")
    make_message(cadence, bo, state="expired", finished_at=NOW + DAY, reason="quiet_hours")
    cy = make_evaluated(course)
    make_message(cadence, cy, reason="quiet_hours", planned_at=NOW - DAY)
    make_message(cadence, cy, **DROPPED, reason="opted_out")
    make_message(cadence, make_evaluated(course), **{**SENT, "state": "in_doubt"})

    found = read(cadence).whole

    assert found.unsent == (
        Unsent("dropped", "opted_out", 2),
        Unsent("dropped", "no_address", 1),
        Unsent("expired", "quiet_hours", 1),
        Unsent("planned", "quiet_hours", 1),
    )
    assert found.planned == 7 == found.sent + found.doubtful + sum(x.number for x in found.unsent)


def test_ghosts_are_on_their_own(course: Course) -> None:
    cadence = make_cadence()
    make_sent(cadence, course)
    for state in ({"state": "ghost", "claimed_at": NOW}, DROPPED):
        make_message_of_ghost(cadence, make_evaluated(course), **state)

    found = read(cadence)

    assert found.whole == Funnel(planned=1, sent=1)
    assert found.ghosts == Funnel(planned=2, sent=1, unsent=(Unsent("dropped", "", 1),))


def make_message_of_ghost(cadence: Cadence, enrollment: Enrollment, **fields: Any) -> Delivery:
    run = make_run(enrollment, cadence, ghost=True, status="finished", ended_at=NOW)
    return make_delivery(run=run, **fields)


def test_steps_have_their_own_numbers(course: Course) -> None:
    cadence = make_cadence(steps=2)
    first = make_sent(cadence, course)
    last = Step.objects.filter(cadence=cadence).last()
    second = make_delivery(run=make_run(first.enrollment, cadence), state="dropped", reason="goal")
    Delivery.objects.filter(pk=second.pk).update(step=last)

    found = read(cadence)

    assert found.whole == Funnel(planned=1, sent=1)
    assert found.by_step == {
        first.step_id: Funnel(planned=1, sent=1),
        last.pk: Funnel(planned=1, unsent=(Unsent("dropped", "goal", 1),)),
    }


def test_goal_counts_when_it_ended_the_run_and_when_it_is_true_now(course: Course) -> None:
    cadence = make_cadence(goal_rule=ACTED_TODAY)
    stopped, acted, silent = (make_sent(cadence, course) for _ in range(3))
    stopped.run.exit_reason, stopped.run.status = "goal", "exited"
    stopped.run.save()
    ingest([make_event(acted.enrollment)], now=NOW)

    assert read(cadence).whole.goal == 2
    assert silent.enrollment_id not in {stopped.enrollment_id, acted.enrollment_id}


def test_of_too_many_only_those_are_counted_whom_the_goal_ended(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_ASKED", 1)
    cadence = make_cadence(goal_rule=ACTED_TODAY)
    for _ in range(2):
        ingest([make_event(make_sent(cadence, course).enrollment)], now=NOW)

    assert (read(cadence).whole.goal, read(cadence).goal_is_partial) == (0, True)


def test_stages_say_of_what_they_are_a_share() -> None:
    funnel = Funnel(planned=500, sent=450, delivered=440, opened=220, clicked=88, goal=45)

    shares = {stage.name: stage.share for stage in stages_of(funnel, has_goal=True)}

    assert shares == {
        "Planned": "",
        "Sent": "90 % of the 500 planned",
        "Delivered": "98 % of the 450 sent",
        "Opened": "50 % of the 440 delivered",
        "Clicked": "20 % of the 440 delivered",
        "Goal reached": "10 % of the 450 sent",
    }


def test_what_nobody_reports_has_no_number() -> None:
    stages = list(stages_of(Funnel(planned=5, sent=4), has_goal=False))

    assert [(stage.name, stage.number) for stage in stages] == [
        ("Planned", 5), ("Sent", 4), ("Delivered", None), ("Opened", None), ("Clicked", None),
        ("Goal reached", None),
    ]  # fmt: skip
    assert [stage.share for stage in stages[2:]] == [""] * 4


def test_plot_has_a_bar_for_each_stage() -> None:
    plot = funnel_chart((Bar("Planned", 1200, "(100 %)"), Bar("Sent", 600, "(50 %)")), width=210)

    assert "1,200 (100 %)" in plot
    assert "600 (50 %)" in plot
    assert "var(--accent)" in plot


def test_page_leads_to_the_messages_of_each_number(staff: Client, course: Course) -> None:
    cadence = make_cadence(name="Back on track")
    make_sent(cadence, course, "delivered", "opened")
    for reason in ("", "no_address", "opted_out"):
        make_message(cadence, make_evaluated(course), **DROPPED, reason=reason)
    make_message(cadence, make_evaluated(course), reason="quiet_hours")
    # The list then gives the pause as the reason of the message that waits.
    Cadence.objects.update(paused=True)

    page = staff.get(reverse("cadence-funnel", args=(cadence.pk,)))

    assert "100 % of the 1 sent" in page.text
    links = re.findall(r'<th scope="row"><a href="([^"]+)">([^<]+)</a></th>', page.text)
    assert [words for _, words in links] == [
        "Not sent",
        "Not sent, because the learner has no address",
        "Not sent, because the learner does not want these messages",
        "Waiting, because it is within the quiet hours",
    ]
    for address, _ in links:
        assert len(staff.get(address.replace("&amp;", "&")).context["cl"].result_list) == 1


def test_page_shows_one_step_or_one_course(staff: Client, course: Course) -> None:
    segment = make_any_segment(course)
    other = make_live_course(title="Physics")
    segment.playbook.courses.add(other)
    cadence = make_cadence(steps=2, segment=segment)
    make_sent(cadence, course), make_sent(cadence, other)
    address = reverse("cadence-funnel", args=(cadence.pk,))
    last = Step.objects.filter(cadence=cadence).last()

    assert stage(staff.get(address).text, "Sent") == "2"
    assert stage(staff.get(address, {"course": course.pk}).text, "Sent") == "1"
    page = staff.get(address, {"step": last.pk}).text
    assert "No message of this step has been planned yet." in page
    assert staff.get(address, {"step": "x"}).status_code == 404


def stage(page: str, name: str) -> str:
    """Return the number of the stage in the table."""
    found = re.search(rf'<th scope="row">{name}</th><td class="number"[^>]*>([^<]*)<', page)
    assert found is not None
    return found[1]


def test_what_nobody_reports_has_no_number_by_step_either(staff: Client, course: Course) -> None:
    cadence = make_cadence(steps=2, segment=make_any_segment(course))
    make_sent(cadence, course)

    page = staff.get(reverse("cadence-funnel", args=(cadence.pk,))).text

    for unit in ("delivered", "opened", "clicked", "at the goal"):
        assert re.findall(rf'data-unit="{unit}">([^<]*)<', page) == ["\N{EN DASH}"] * 2, unit
    assert re.findall('data-unit="sent">([^<]*)<', page) == ["1", "0"]


def test_page_shows_arms_and_leads_to_the_report(staff: Client, course: Course) -> None:
    segment = make_any_segment(course)
    experiment = make_experiment(segment)
    nudge, control = arm_of(experiment, "nudge"), arm_of(experiment, "control")
    cadence = make_cadence(segment=segment, arm=nudge, ghost_for=control)
    for arm, fields in ((nudge, SENT), (control, {"state": "ghost", "claimed_at": NOW})):
        enrollment = make_evaluated(course)
        run = make_run(
            enrollment, cadence, ghost=arm == control, assignment=assign(enrollment, arm)
        )
        make_delivery(run=run, **fields)

    page = staff.get(reverse("cadence-funnel", args=(cadence.pk,))).text

    assert re.findall(r'<tr><th scope="row">(\w+(?: \(ghosts\))?)</th><td[^>]*>1<', page)[-2:] == [
        "nudge", "control (ghosts)",
    ]  # fmt: skip
    assert "1 learner of a control went through the same steps" in page
    assert reverse("experiments:report", args=(experiment.key,)) in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "draft"}, "It is a draft. Activate it"),
        ({}, "One is planned when a learner enters"),
        ({"trigger": "manual"}, "Staff start it on the page of a learner."),
    ],
)
def test_page_without_messages_says_what_to_do(
    staff: Client, fields: dict[str, Any], said: str
) -> None:
    cadence = make_cadence(**fields)

    page = staff.get(reverse("cadence-funnel", args=(cadence.pk,))).text

    assert "No message of this cadence has been planned yet." in page
    assert said in page


def test_page_of_a_large_course_counts_after_it_is_open(
    staff: Client, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "LARGE", 0)
    cadence = make_cadence(segment=make_any_segment(course))
    make_sent(cadence, course)

    page = staff.get(reverse("cadence-funnel", args=(cadence.pk,))).text

    assert "being counted" in page
    assert "From planned to the goal" not in page


def test_page_needs_the_right_to_see_deliveries(client: Client) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))

    assert client.get(reverse("cadence-funnel", args=(1,))).status_code == 403


def test_funnel_takes_two_queries_and_few_more_for_a_goal(
    course: Course, django_assert_num_queries: Callable[[int], Any]
) -> None:
    plain, aimed = make_cadence(steps=3), make_cadence(goal_rule=ACTED_TODAY)
    for cadence in (plain, aimed):
        for _ in range(4):
            make_sent(cadence, course)

    with django_assert_num_queries(2):
        cadence_funnel(plain, [course], now=NOW)
    with django_assert_num_queries(6):
        cadence_funnel(aimed, [course], now=NOW)


def test_pages_of_cadence_and_segment_lead_here(staff: Client, course: Course) -> None:
    cadence = make_cadence(segment=make_any_segment(course))
    address = reverse("cadence-funnel", args=(cadence.pk,))

    assert (
        address in staff.get(reverse("admin:interventions_cadence_change", args=(cadence.pk,))).text
    )
    assert address in staff.get(reverse("segment", args=(cadence.segment_id,))).text


def test_page_says_which_messages_are_deleted(staff: Client, course: Course, settings) -> None:
    cadence = make_cadence(segment=make_any_segment(course))
    make_sent(cadence, course)
    page = reverse("cadence-funnel", args=[cadence.pk])
    assert "are deleted" not in staff.get(page).text

    settings.LEDGER_DAYS, settings.ARCHIVE_MONTHS = 400, 24

    month = month_of(utc_now()).plus(-24).begins_at
    words = f"Messages that ended before {month:%-d %B %Y} are deleted and not counted."
    assert words in staff.get(page).text
