"""A nudge is saved as it is typed, and made once, in one transaction."""

from datetime import time, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model

from activity import access
from activity.access import COMMAND_LINE
from activity.models import Course
from experiments.models import Assignment, Experiment
from interventions.models import Cadence, Delivery, MessageTemplate, Nudge, Run
from interventions.operations import (
    InterventionError,
    NudgeFields,
    NudgeMessage,
    NudgeSave,
    create_nudge,
    note_test,
    save_nudge,
)
from interventions.operations.nudges import BETWEEN_TESTS
from segmentation.models import WaitingEntry
from segmentation.operations import archive_segment
from tests.factories import NOW, act, make_enrollment
from tests.interventions.factories import (
    make_cadence,
    make_category,
    make_experiment,
    make_live_course,
    make_transition,
)
from tests.journeys.test_main_path import run_stages
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, members

pytestmark = pytest.mark.django_db

BODY = "<p>Hello {{ learner.first_name | default: 'there' }}, try the quiz.</p>"
HOUR = timedelta(hours=1)


@pytest.fixture
def staff():
    return get_user_model().objects.create_user("staff", is_staff=True)


@pytest.fixture
def course():
    return make_live_course()


@pytest.fixture
def segment(course):
    return make_segment(make_playbook(course), ACTED_TODAY, name="Active")


def save(staff, *, key=None, tab="one", version=0, typing=False, **answers):
    given = NudgeSave(
        key or uuid4(), tab, version, answers, is_while_typing=typing, name=answers.get("name", "")
    )
    return save_nudge(given, by=staff, now=NOW)


def fields(segment, **changed):
    values = {
        "name": "Try the quiz (Biology 2025)",
        "segment": segment,
        "category": make_category(),
        "messages": [NudgeMessage("Try the quiz", BODY)],
        **changed,
    }
    return NudgeFields(**values)


def create(nudge, given, **changed):
    usual = {"version": nudge.version, "viewer": COMMAND_LINE, "now": NOW}
    return create_nudge(nudge.key, fields=given, **{**usual, **changed})


def test_nudge_makes_plain_objects_with_keys_from_its_name(staff, segment):
    messages = [NudgeMessage("One", BODY), NudgeMessage("Two", BODY, timedelta(days=2))]
    hours = {"window_from": time(9), "window_until": time(18)}

    made = create(save(staff), fields(segment, messages=messages, **hours))

    cadence = Cadence.objects.get()
    assert (made.cadence, made.made_at, made.experiment) == (cadence, NOW, None)
    assert (cadence.key, cadence.status, cadence.arm) == (
        "try-the-quiz-biology-2025",
        "active",
        None,
    )
    assert (cadence.window_from, cadence.window_until) == (time(9), time(18))
    assert [step.delay for step in cadence.steps.all()] == [timedelta(0), timedelta(days=2)]
    assert [each.key for each in MessageTemplate.objects.all()] == [
        "try-the-quiz-biology-2025-message-1",
        "try-the-quiz-biology-2025-message-2",
    ]


def test_second_nudge_of_a_name_gets_keys_of_its_own(staff, segment):
    first, second = (create(save(staff), fields(segment)) for _ in range(2))

    assert first.cadence != second.cadence
    assert second.cadence.key == "try-the-quiz-biology-2025-2"
    assert {each.version for each in MessageTemplate.objects.all()} == {1}


def test_starting_twice_makes_one(staff, segment):
    nudge = save(staff)
    given = fields(segment, hold_back=True)

    first, second = (create(nudge, given) for _ in range(2))

    assert first.cadence == second.cadence
    assert (Cadence.objects.count(), Experiment.objects.count()) == (1, 1)


def test_holding_back_half_makes_a_running_experiment_with_ghosts(staff, course, segment):
    enrollments = [make_enrollment(course) for _ in range(24)]
    run_stages(NOW)

    made = create(save(staff), fields(segment, hold_back=True, hypothesis="More attempts."))

    experiment = Experiment.objects.get()
    assert (made.experiment, experiment.status) == (experiment, "running")
    assert experiment.hypothesis == "More attempts."
    control, nudge = experiment.arms.order_by("position")
    assert (control.is_control, control.weight, nudge.weight) == (
        True,
        nudge.weight,
        control.weight,
    )
    assert (made.cadence.arm, made.cadence.ghost_for) == (nudge, control)
    for each in enrollments:
        act(each, occurred_at=NOW + HOUR)
    run_stages(NOW + 2 * HOUR)
    assert Assignment.objects.count() == 24
    states = [each.state for each in Delivery.objects.all()]
    assert set(states) == {"handed_off", "ghost"}


def test_those_already_in_get_nothing_unless_asked(staff, course, segment):
    present = make_enrollment(course)
    act(present)
    run_stages(NOW)
    assert members(segment) == {present.pk}

    create(save(staff), fields(segment))

    run_stages(NOW + HOUR)
    assert not Run.objects.exists()


def test_those_already_in_start_this_cadence_alone(staff, course, segment):
    present = make_enrollment(course)
    act(present)
    run_stages(NOW)
    make_cadence(segment=segment)

    made = create(save(staff), fields(segment, include_present=True), now=NOW + HOUR)

    run_stages(NOW + 2 * HOUR)
    run = Run.objects.get()
    assert (run.cadence, run.enrollment) == (made.cadence, present)
    assert Delivery.objects.get().state == "handed_off"


def test_those_already_in_a_course_that_is_not_live_are_not_started(staff, course, segment):
    present = make_enrollment(course)
    act(present)
    run_stages(NOW)
    Course.objects.update(live_since=None)

    create(save(staff), fields(segment, include_present=True))

    assert not Run.objects.exists()


def test_those_whose_entry_waits_for_staff_are_not_started(staff, course, segment):
    present = make_enrollment(course)
    act(present)
    run_stages(NOW)
    entry = make_transition(present, segment, starts=False, processed_at=NOW)
    WaitingEntry.objects.create(
        transition=entry,
        enrollment=present,
        segment=segment,
        course=course,
        day=NOW.date(),
        entered_at=NOW,
    )

    create(save(staff), fields(segment, include_present=True))

    assert not Run.objects.exists()


def test_more_members_than_can_be_started_at_once_are_refused(staff, course, segment, monkeypatch):
    act(make_enrollment(course))
    run_stages(NOW)
    monkeypatch.setattr("interventions.operations.nudges.MOST_PRESENT", 0)

    with pytest.raises(InterventionError, match="The segment has more than 0 members"):
        create(save(staff), fields(segment, include_present=True))

    assert not Cadence.objects.exists()


def test_segment_archived_meanwhile_is_refused_and_nothing_is_made(staff, segment):
    archive_segment(segment.pk, now=NOW)

    with pytest.raises(InterventionError, match="archived or frozen meanwhile") as refused:
        create(save(staff), fields(segment))

    assert refused.value.field == "segment"
    assert not MessageTemplate.objects.exists()


def test_nudge_for_everybody_is_refused_beside_an_experiment(staff, segment):
    make_experiment(segment)

    with pytest.raises(InterventionError, match="would also reach those who are held back"):
        create(save(staff), fields(segment))

    assert not MessageTemplate.objects.exists()


def test_experiment_is_refused_beside_a_cadence_for_everybody(staff, segment):
    make_cadence(segment=segment)

    with pytest.raises(InterventionError, match="is for every learner") as refused:
        create(save(staff), fields(segment, hold_back=True))

    assert refused.value.field == "hold_back"
    assert not Experiment.objects.exists()


def test_refusal_of_the_experiment_names_only_courses_that_the_user_may_see(
    staff, course, segment, monkeypatch
):
    segment.playbook.courses.add(make_live_course(title="Hidden"))
    Course.objects.update(clock_stopped_at=NOW)
    mine = Course.objects.filter(pk=course.pk)
    monkeypatch.setattr(access, "courses_of", lambda user: mine if user == staff else None)

    with pytest.raises(InterventionError) as refusal:
        create(save(staff), fields(segment, hold_back=True), viewer=staff)

    assert f"The course {course} is simulated" in str(refusal.value)
    assert "Hidden" not in str(refusal.value)


def test_nudge_that_was_changed_since_its_summary_is_not_started(staff, segment):
    nudge = save(staff)
    save(staff, key=nudge.key, version=nudge.version, name="Other")

    with pytest.raises(InterventionError, match="in another window"):
        create(nudge, fields(segment))

    assert not Cadence.objects.exists()


def test_two_tabs_lose_nothing(staff):
    nudge = save(staff, name="Before")
    first = save(staff, key=nudge.key, tab="one", version=1, name="First")
    second = save(staff, key=nudge.key, tab="two", version=1, name="Second")
    again = save(staff, key=nudge.key, tab="two", version=1, name="Second again")

    assert first.key == nudge.key
    assert second.key == again.key != nudge.key
    assert sorted(each.name for each in Nudge.objects.all()) == ["First", "Second again"]


def test_save_while_typing_does_not_undo_a_later_one(staff):
    nudge = save(staff, name="One")
    save(staff, key=nudge.key, version=1, name="Later")

    save(staff, key=nudge.key, version=1, name="Earlier", typing=True)

    assert Nudge.objects.get().name == "Later"


def test_made_nudge_keeps_its_answers(staff, segment):
    nudge = create(save(staff, name="Kept"), fields(segment))

    save(staff, key=nudge.key, version=nudge.version, name="Changed")

    assert Nudge.objects.get().name == "Kept"


def test_test_mails_are_limited_to_one_at_a_time(staff):
    one, other = save(staff), save(staff)
    note_test(one.key, by=staff, now=NOW)

    with pytest.raises(InterventionError, match="less than 30 seconds ago"):
        note_test(other.key, by=staff, now=NOW + BETWEEN_TESTS / 2)

    note_test(other.key, by=staff, now=NOW + BETWEEN_TESTS)


def test_name_without_letters_still_gets_a_key(staff, segment):
    made = create(save(staff), fields(segment, name="Δοκιμή"))

    assert made.cadence.key == "nudge"
