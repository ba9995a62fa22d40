from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser

from activity.access import COMMAND_LINE
from experiments.queries import details, report
from experiments.queries.search import drawn_parts
from experiments.reporting.search import Part, parts_that_stand_out
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.experiments.test_report import arm
from tests.factories import NOW, make_course, make_enrollment

ARMS = [arm("control", 0), arm("nudge", 0)]


def test_the_part_that_does_not_fit_the_draw_is_named() -> None:
    parts = [Part("Monday", {"control": 60, "nudge": 58}), Part("Tuesday", {"control": 90})]

    (found,) = parts_that_stand_out(parts, ARMS)

    assert found.startswith("Tuesday: 90 in control, 0 in nudge (p < 0.001 after correction for 2")


def test_a_fault_of_all_parts_is_said_to_be_one() -> None:
    parts = [Part(f"day {day}", {"control": 14, "nudge": 8}) for day in range(12)]

    assert parts_that_stand_out(parts, ARMS) == [
        "No course and no day stands out: the cause lies in all of them alike."
    ]


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
