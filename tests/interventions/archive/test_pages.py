"""What pages and numbers say is the same before and after messages moved into the archive."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from activity import access
from activity.models import Course, Enrollment
from config.views.learner.timeline import timeline
from experiments.operations import AssignedDelivery, record_delivery_outcomes
from experiments.queries.reports import deliveries_by_arm, report
from interventions.models import ArchivedDelivery, ArchivedTrace, Delivery, Receipt, Run
from interventions.operations import save_cap, start_manually
from interventions.operations.runs import manual_runs
from interventions.queries.funnel import cadence_funnel
from interventions.queries.learner_messages import last_ended_message
from interventions.queries.limits import read_limits
from interventions.queries.situations import read_situations
from interventions.queries.tracking import Names, match_deliveries
from segmentation.models import Transition
from segmentation.queries.history import last_entry
from tests.config.learner_pages import admin, history, why
from tests.factories import NOW, make_learner
from tests.interventions.archive.worlds import OLD, archive, make_full, make_old
from tests.interventions.factories import (
    arm_of,
    assign,
    make_any_segment,
    make_cadence,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_transition,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def make_member(name: str = "Ana Archer") -> Enrollment:
    """Return an enrollment from before all old messages."""
    member = make_evaluated(learner=make_learner(name=name))
    member.enrolled_at = OLD - 30 * DAY
    member.save()
    return member


def make_mixed(course: Course) -> Any:
    """Return a cadence with old messages of every fate, and some that stay in the ledger."""
    cadence = make_cadence()
    for state in ("handed_off", "delivered", "bounced", "in_doubt", "dropped", "expired", "failed"):
        found = make_old(make_evaluated(course), cadence, state=state, reason="quiet_hours")
        if state == "delivered":
            Receipt.objects.create(delivery=found, delivered_at=OLD, opened_at=OLD, clicked_at=OLD)
        if state == "handed_off":
            Receipt.objects.create(delivery=found, machine_opened_at=OLD)
    make_old(make_evaluated(course), cadence, at=NOW - DAY)
    both = make_evaluated(course)
    make_old(both, cadence, state="dropped", reason="opted_out")
    make_old(both, cadence, at=NOW - DAY)
    return cadence


def test_the_funnel_counts_the_archive_too() -> None:
    course = make_live_course()
    cadence = make_mixed(course)
    before = cadence_funnel(cadence, [course], now=NOW)

    assert archive().messages == 7

    assert cadence_funnel(cadence, [course], now=NOW) == before
    assert (before.whole.planned, before.whole.clicked, before.whole.by_machine) == (9, 1, 1)


def test_an_experiment_reports_the_same() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment)
    experiment.refresh_from_db()
    cadence = make_cadence(segment=segment, arm=arm_of(experiment, "nudge"))
    for key, state in (("control", "ghost"), ("nudge", "handed_off"), ("nudge", "dropped")):
        member = make_evaluated()
        assignment = assign(member, arm_of(experiment, key))
        old = make_old(member, cadence, state=state)
        Run.objects.filter(pk=old.run_id).update(assignment=assignment)
        told = [AssignedDelivery(assignment.pk, old.key, "")]
        record_delivery_outcomes(told, outcome=state, at=OLD)
    courses = [*Course.objects.all()]
    before = cadence_funnel(cadence, courses, now=NOW)
    fates = deliveries_by_arm(experiment.pk, as_of=NOW)
    said = report(experiment, as_of=NOW)

    assert archive().messages == 3

    assert cadence_funnel(cadence, courses, now=NOW) == before
    assert set(before.by_arm) == {arm_of(experiment, "nudge").pk}
    assert set(before.ghosts_by_arm) == {arm_of(experiment, "control").pk}
    assert deliveries_by_arm(experiment.pk, as_of=NOW) == fates
    assert sum(each.deliveries for arm in fates.values() for each in arm.values()) == 3
    assert repr(report(experiment, as_of=NOW)) == repr(said)


def test_caps_count_the_same() -> None:
    save_cap("a year", scope="everything", window="rolling_days", length=365, limit=9)
    member = make_evaluated()
    for days in (1, 100, 364, 380, 500):
        make_old(member, at=NOW - days * DAY)
    limits = read_limits()
    before = read_situations([member.learner], limits=limits, now=NOW)

    assert archive().messages == 1

    after = read_situations([member.learner], limits=limits, now=NOW)
    assert after[member.learner_id].counted == before[member.learner_id].counted
    assert len(after[member.learner_id].counted) == 3


def test_a_cadence_that_never_comes_again_stays_so() -> None:
    cadence = make_cadence(trigger="manual", reentry="never")
    member = make_evaluated()
    make_old(member, cadence)
    archive()

    assert manual_runs([cadence], member, now=NOW) == {cadence.pk: None}
    assert start_manually(cadence.pk, member.pk, now=NOW) is None


@pytest.mark.slow
def test_the_page_of_a_learner_tells_the_same_history() -> None:
    old = make_full(make_member())
    member = old.enrollment
    make_old(member, at=OLD - DAY, state="dropped", reason="opted_out")
    segment = make_any_segment()
    at = OLD - 2 * DAY
    make_transition(member, segment, occurred_at=at, processed_at=at)
    before = history(member)
    answer = why(member)

    found = archive()

    assert (found.messages, found.transitions) == (2, 1)
    assert history(member) == before
    assert why(member) == answer
    assert sum("was sent on" in line or "was not sent" in line for line in before) == 2
    days = timeline(member, viewer=admin(), now=NOW).days
    (entry,) = (each for day in days for each in day.entries if each.message_id == old.pk)
    assert len(entry.details) == 2


def test_older_pages_of_the_history_read_the_archive_too() -> None:
    member = make_evaluated()
    make_old(member, at=NOW - DAY)
    make_old(member)
    first = timeline(member, viewer=admin(), now=NOW)
    before = history(member, before=first.older)
    archive()

    again = timeline(member, viewer=admin(), now=NOW)

    assert again == first
    assert history(member, before=again.older) == before
    assert len(before) == 1


def test_the_last_entry_is_found_in_the_archive() -> None:
    member = make_evaluated()
    entry = make_transition(member, make_any_segment(), occurred_at=OLD, processed_at=OLD)
    archive()

    assert not Transition.objects.exists()
    assert last_entry(member.pk) == entry
    assert last_ended_message(member.pk) is None


def test_recent_days_read_nothing_of_the_archive(django_assert_num_queries: Any) -> None:
    member = make_evaluated()
    make_old(member, at=NOW - DAY)
    make_transition(member, make_any_segment(), occurred_at=NOW - DAY, processed_at=NOW)

    with django_assert_num_queries(14):
        timeline(member, viewer=admin(), now=NOW)


def test_a_message_of_the_archive_can_be_read_as_it_was_sent(staff: Client) -> None:
    old = make_full()
    address = reverse("interventions:sent_message", args=(old.pk,))
    before = staff.get(address)
    archive()

    after = staff.get(address)

    assert before.status_code == after.status_code == 200
    for words in ("Next up", "Hello Ana", "was sent on", "Course &lt;course@example.org&gt;"):
        assert words in after.text
    assert _without_tokens(after.text) == _without_tokens(before.text)


def _without_tokens(page: str) -> str:
    return re.sub(r'ftoken": "\w+"', "", page)


def test_without_its_trace_a_message_is_told_but_not_shown(staff: Client, settings: Any) -> None:
    old = make_full(make_member())
    archive()
    settings.TRACE_MONTHS = 1
    archive()

    assert not ArchivedTrace.objects.exists()
    assert staff.get(reverse("interventions:sent_message", args=(old.pk,))).status_code == 404
    assert any("was sent on" in line for line in history(old.enrollment))
    page = staff.get(reverse("admin:interventions_archiveddelivery_change", args=(old.pk,)))
    assert "no longer kept" in page.text


def test_the_archive_is_a_list_by_course_and_month(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    first = make_full(make_member())
    second = make_old(make_member("Bo Bookbinder"), at=OLD - 40 * DAY)
    archive()
    address = reverse("admin:interventions_archiveddelivery_changelist")

    with django_assert_max_num_queries(30):
        both = staff.get(address).text
    of_month = staff.get(address, {"month": f"{OLD:%Y-%m}"}).text
    of_course = staff.get(address, {"enrollment__course": second.enrollment.course_id}).text

    for page, there, missing in ((of_month, first, second), (of_course, second, first)):
        assert there.learner.name in page
        assert missing.learner.name not in page
    assert first.learner.name in both
    assert second.learner.name in both
    assert first.learner.name not in staff.get(address, {"month": "no month"}).text


def test_the_page_of_an_archived_message_says_all_of_it(staff: Client) -> None:
    old = make_full()
    archive()

    page = staff.get(reverse("admin:interventions_archiveddelivery_change", args=(old.pk,))).text

    for words in ("was sent on", "opened", "Hello Ana", "Call Ana: She will come back."):
        assert words in page
    assert reverse("interventions:sent_message", args=(old.pk,)) in page


def test_the_ledger_says_since_when_it_is_complete(staff: Client) -> None:
    make_old()
    address = reverse("admin:interventions_delivery_changelist")
    before = staff.get(address).text
    archive()

    after = staff.get(address).text

    assert "Messages move into the archive 400 days after they ended." in before
    assert "All that ended since" not in before
    assert "All that ended since 20 May 2024 are in this list." in after
    assert reverse("admin:interventions_archiveddelivery_changelist") in after


def test_a_user_without_archived_messages_is_told_the_same_day(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old()
    archive()
    mine = make_evaluated().course_id
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(pk=mine))

    page = staff.get(reverse("admin:interventions_delivery_changelist")).text

    assert "All that ended since 20 May 2024 are in this list." in page


def test_users_see_only_the_archive_of_their_courses(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = make_full(make_member()), make_full(make_member("Bo Bookbinder"))
    archive()
    monkeypatch.setattr(
        access, "courses_of", lambda user: Course.objects.filter(pk=mine.enrollment.course_id)
    )
    client.force_login(get_user_model().objects.create_superuser("one"))
    page = client.get(reverse("admin:interventions_archiveddelivery_changelist")).text

    assert mine.learner.name in page
    assert other.learner.name not in page
    for kept, status in ((mine, 200), (other, 404)):
        address = reverse("interventions:sent_message", args=(kept.pk,))
        assert client.get(address).status_code == status


def test_the_list_needs_its_right(client: Client) -> None:
    user = get_user_model().objects.create_user("one", is_staff=True)
    client.force_login(user)
    address = reverse("admin:interventions_archiveddelivery_changelist")

    assert client.get(address).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_archiveddelivery"))
    assert client.get(address).status_code == 200


def test_a_report_about_an_archived_message_finds_none() -> None:
    old = make_full()
    assert match_deliveries([Names(old.key, "", "")])
    archive()

    assert match_deliveries([Names(old.key, "", old.message_id)]) == {}


def test_the_command_says_what_it_would_move_and_moves_it(settings: Any, capsys: Any) -> None:
    make_old()
    make_old(at=OLD - 40 * DAY)
    make_transition(make_evaluated(), make_any_segment(), occurred_at=OLD, processed_at=OLD)

    call_command("archive", "--dry-run")
    said = capsys.readouterr().out
    assert said == "Would move 2 messages and 1 entries and leavings into the archive.\n"
    assert Delivery.objects.count() == 2

    call_command("archive", "--json")
    assert json.loads(capsys.readouterr().out) == {"messages": 2, "transitions": 1, "dropped": {}}
    assert ArchivedDelivery.objects.count() == 2

    settings.ARCHIVE_MONTHS = 3
    call_command("archive", "--dry-run")
    assert "Would drop" in capsys.readouterr().out
    assert ArchivedDelivery.objects.count() == 2
    call_command("archive")
    said = capsys.readouterr().out
    assert f"Dropped {OLD:%Y-%m}: messages.\n" in said
    assert f"Dropped {OLD:%Y-%m}: traces and words of messages.\n" in said
    assert not ArchivedDelivery.objects.exists()
