from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from activity.access import COMMAND_LINE
from experiments.models import Assignment
from experiments.queries import details, report, search
from experiments.queries.search import drawn_parts, entered_parts
from experiments.reporting.search import NOTHING, Part, parts_that_stand_out
from segmentation.models import Playbook, Segment, Transition
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.experiments.test_report import arm
from tests.factories import NOW, act, make_course, make_enrollment

ARMS = [arm("control", 0), arm("nudge", 0)]


def test_the_part_that_does_not_fit_the_draw_is_named() -> None:
    parts = [Part("Monday", {"control": 60, "nudge": 58}), Part("Tuesday", {"control": 90})]

    (found,) = parts_that_stand_out(parts, ARMS)

    assert found.startswith("Tuesday: 90 in control, 0 in nudge (p < 0.001 after correction for 2")


def test_a_fault_of_all_parts_is_said_to_be_one() -> None:
    parts = [Part(f"day {day}", {"control": 14, "nudge": 8}) for day in range(12)]

    (text,) = parts_that_stand_out(parts, ARMS)

    assert text.startswith("No course, day, segment, cause of entry or source of events stands out")


def test_the_only_course_is_no_finding() -> None:
    everybody = {"control": 90, "nudge": 20}
    arms = [arm(key, number) for key, number in everybody.items()]

    assert parts_that_stand_out([Part("The course Demo", everybody)], arms) == [NOTHING]


def test_at_most_five_parts_are_named() -> None:
    parts = [Part(f"day {day}", {"control": 90}) for day in range(12)]

    assert len(parts_that_stand_out(parts, ARMS)) == 5


@pytest.mark.django_db
def test_a_report_that_cannot_be_trusted_says_where_to_look() -> None:
    sound, faulty = make_course(title="Sound"), make_course(title="Faulty")
    experiment = running_experiment(segment=make_segment(sound, faulty))
    for course, control, nudge, day in ((sound, 15, 15, 0), (faulty, 40, 0, 1)):
        for key, number in (("control", control), ("nudge", nudge)):
            for _ in range(number):
                assign(experiment, key, NOW + timedelta(days=day), make_enrollment(course))
    as_of = NOW + timedelta(days=9)
    found = report(experiment, as_of=as_of)

    texts = details(experiment, found, as_of=as_of).standing_out

    assert found.is_mismatch
    assert texts[0].startswith("The course Faulty: 40 in control, 0 in nudge")
    assert texts[1].startswith("Drawn on ")
    assert len(texts) == 2
    # A reader without the right to see the courses gets no name.
    unseen = drawn_parts(experiment.pk, zone="UTC", as_of=as_of, viewer=AnonymousUser())
    names = {part.name for part in unseen} | {
        part.name for part in drawn_parts(experiment.pk, zone="UTC", as_of=NOW, viewer=COMMAND_LINE)
    }
    assert "The course Sound" in names


def entered(segment: Segment, drawn: Assignment, cause: str, *, days_before: int) -> None:
    """Let the learner enter the segment some days before the draw."""
    at = drawn.assigned_at - timedelta(days=days_before)
    Transition.objects.create(
        enrollment=drawn.enrollment, segment=segment, kind="enter", cause=cause, starts=True,
        version=1, occurred_at=at, next_attempt_at=at,
    )  # fmt: skip


@pytest.mark.django_db
def test_draws_are_split_by_the_last_entry_and_the_last_act_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = make_course()
    stalled = make_segment(course)
    playbook = Playbook.objects.get()
    video = make_segment(course, playbook=playbook)
    experiment = running_experiment(playbook=playbook)
    one = assign(experiment, "control", NOW, make_enrollment(course))
    other = assign(experiment, "nudge", NOW, make_enrollment(course))
    assign(experiment, "nudge", NOW, make_enrollment(course))
    entered(stalled, one, "event", days_before=9)
    entered(video, one, "time", days_before=2)
    entered(stalled, other, "event", days_before=1)
    # After the draw, neither an entry nor an act has anything to do with it.
    entered(video, other, "time", days_before=-1)
    act(one.enrollment, source="old", occurred_at=NOW - timedelta(days=3))
    act(one.enrollment, source="new", occurred_at=NOW - timedelta(days=1))
    act(one.enrollment, source="late", occurred_at=NOW + timedelta(days=1))
    act(one.enrollment, "EMAIL_OPENED", source="mail", occurred_at=NOW - timedelta(hours=1))

    found = entered_parts(experiment, as_of=NOW, viewer=COMMAND_LINE)

    assert {part.name: dict(part.drawn) for part in found} == {
        f"The segment {video.name}": {"control": 1},
        f"The segment {stalled.name}": {"nudge": 1},
        "No entry into a segment is known": {"nudge": 1},
        "Entered by: time passed": {"control": 1},
        "Entered by: something the learner did": {"nudge": 1},
        "The cause is not known": {"nudge": 1},
        "The source new": {"control": 1},
        "No act before the draw": {"nudge": 2},
    }
    monkeypatch.setattr(search, "MOST_LOOKED_UP", 2)
    (name, *_) = (each.name for each in entered_parts(experiment, as_of=NOW, viewer=COMMAND_LINE))
    assert name.endswith(" (of 2 draws chosen by chance)")
