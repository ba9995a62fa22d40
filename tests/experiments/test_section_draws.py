"""Draws of whole sections: paired by size, and a rule for learners who move."""

import threading
from itertools import pairwise

import pytest
from django.db import connection

from activity.models import Course, Enrollment, Section
from experiments.models import Arm, Assignment, Experiment, SectionDraw
from experiments.operations import draw_arms, draw_present_sections
from experiments.queries import arms_now, verify_experiment
from experiments.queries.sections import without_section
from tests.experiments.factories import make_segment, running_experiment
from tests.factories import NOW, make_course, make_enrollment, make_learner
from tests.processes import SECONDS_TO_FINISH

pytestmark = pytest.mark.django_db


def make_section(course: Course, key: str, *, size: int) -> Section:
    section = Section.objects.create(course=course, key=key)
    for _ in range(size):
        make_enrollment(course, section=section)
    return section


def section_experiment(course: Course, **fields: object) -> Experiment:
    return running_experiment(
        segment=make_segment(course), unit="section", method="cluster", **fields
    )


def members(*sections: Section) -> list[int]:
    found = Enrollment.objects.filter(section__in=sections).order_by("pk")
    return list(found.values_list("pk", flat=True))


def sorted_draws(experiment: Experiment) -> list[SectionDraw]:
    return list(experiment.section_draws.select_related("arm", "stratum").order_by("position"))


def test_present_sections_are_drawn_in_pairs_of_about_one_size() -> None:
    course = make_course()
    for number, size in enumerate([1, 6, 3, 5, 0, 2, 4]):
        make_section(course, f"class-{number}", size=size)
    experiment = section_experiment(course)
    draw_present_sections(experiment.pk, now=NOW)
    draw_present_sections(experiment.pk, now=NOW)

    drawn = sorted_draws(experiment)
    assert [each.size for each in drawn] == [6, 5, 4, 3, 2, 1]
    assert {each.stratum.key for each in drawn} == {"present"}
    for first, second in list(pairwise(drawn))[::2]:
        assert {first.arm.key, second.arm.key} == {"control", "nudge"}


def test_learners_get_the_arm_of_their_section() -> None:
    course = make_course()
    first, second = (make_section(course, key, size=3) for key in ("a", "b"))
    alone = make_enrollment(course)
    experiment = section_experiment(course)

    drawn = draw_arms(experiment.pk, [*members(first, second), alone.pk], now=NOW)

    assert alone.pk not in drawn
    arms = {draw.section_id: draw.arm_id for draw in experiment.section_draws.all()}
    assert len(set(arms.values())) == 2
    for section in (first, second):
        assert {drawn[pk].arm_id for pk in members(section)} == {arms[section.pk]}
    assert drawn.keys() == {*members(first, second)}


def test_later_sections_are_drawn_in_blocks_of_their_own() -> None:
    course = make_course()
    make_section(course, "first", size=1)
    experiment = section_experiment(course, block_sizes="smallest")
    draw_present_sections(experiment.pk, now=NOW)
    later = [make_section(course, f"later-{number}", size=1) for number in range(4)]
    for section in later:
        draw_arms(experiment.pk, members(section), now=NOW)

    drawn = [each for each in sorted_draws(experiment) if each.stratum.key == "later"]
    assert [each.position for each in drawn] == [0, 1, 2, 3]
    for first, second in (drawn[:2], drawn[2:]):
        assert {first.arm.key, second.arm.key} == {"control", "nudge"}


def test_no_more_sections_are_drawn_than_the_protocol_allows() -> None:
    course = make_course()
    sections = [make_section(course, f"class-{number}", size=2) for number in range(5)]
    experiment = section_experiment(course, most_sections=3)
    draw_arms(experiment.pk, members(*sections), now=NOW)
    late = make_section(course, "late", size=1)
    draw_arms(experiment.pk, members(late), now=NOW)

    assert experiment.section_draws.count() == 3
    assert Assignment.objects.count() == 6
    # Learners who join a drawn section are still drawn.
    joined = make_enrollment(course, section=experiment.section_draws.all()[0].section)
    assert draw_arms(experiment.pk, [joined.pk], now=NOW).keys() == {joined.pk}


@pytest.fixture
def moved(request: pytest.FixtureRequest) -> tuple[Assignment, Arm]:
    """Return the assignment of a learner who changed section, and the arm of the new section."""
    course = make_course()
    first, second = (make_section(course, key, size=1) for key in ("a", "b"))
    experiment = section_experiment(course, section_rule=request.param)
    (pk,) = members(first)
    assignment = draw_arms(experiment.pk, [pk, *members(second)], now=NOW)[pk]
    Enrollment.objects.filter(pk=pk).update(section=second)
    return assignment, experiment.section_draws.get(section=second).arm


@pytest.mark.parametrize("moved", ["keep"], indirect=True)
def test_a_learner_who_moves_may_keep_the_arm(moved: tuple[Assignment, Arm]) -> None:
    assignment, _ = moved
    assert arms_now([assignment]) == {assignment.pk: assignment.arm_id}


@pytest.mark.parametrize("moved", ["follow"], indirect=True)
def test_a_learner_who_moves_may_follow_the_section(moved: tuple[Assignment, Arm]) -> None:
    assignment, new = moved
    assert new.pk != assignment.arm_id
    assert arms_now([assignment]) == {assignment.pk: new.pk}
    # The draw stays as it was.
    assignment.refresh_from_db()
    assert assignment.arm_id != new.pk


@pytest.mark.parametrize("moved", ["exclude"], indirect=True)
def test_a_learner_who_moves_may_be_excluded(moved: tuple[Assignment, Arm]) -> None:
    assignment, _ = moved
    assert arms_now([assignment]) == {assignment.pk: None}


@pytest.mark.parametrize(
    ("rule", "same"), [("keep", True), ("follow", False), ("exclude", None)], ids=str
)
def test_a_learner_in_two_sections_has_one_arm_or_two_or_none(rule: str, same: bool | None) -> None:
    segment = make_segment(make_course(), make_course())
    (one, two) = Course.objects.order_by("pk")
    learner = make_learner()
    sections = [make_section(course, "class", size=size) for course, size in ((one, 2), (two, 1))]
    first = make_enrollment(one, learner, section=sections[0])
    experiment = running_experiment(
        segment=segment, unit="section", method="cluster", section_rule=rule
    )
    draw_arms(experiment.pk, [first.pk], now=NOW)
    second = make_enrollment(two, learner, section=sections[1])
    drawn = draw_arms(experiment.pk, [first.pk, second.pk], now=NOW)

    found = None
    if second.pk in drawn:
        found = drawn[second.pk].arm_id == drawn[first.pk].arm_id
    assert found is same


def test_present_members_without_section_are_counted() -> None:
    course = make_course()
    experiment = section_experiment(course)
    section = make_section(course, "class", size=1)
    for enrollment in (make_enrollment(course), *section.enrollments.all()):
        experiment.segment.memberships.create(  # type: ignore[union-attr]
            enrollment=enrollment, entered_at=NOW, version=1
        )

    assert without_section(experiment) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("most", [None, 5])
def test_workers_together_draw_each_section_once_and_never_too_many(most: int | None) -> None:
    course = make_course()
    sections = [make_section(course, f"class-{number}", size=1) for number in range(8)]
    experiment = section_experiment(course, most_sections=most, block_sizes="smallest")
    ids = members(*sections)
    barrier = threading.Barrier(3)

    def work(own: list[int]) -> None:
        try:
            barrier.wait(timeout=SECONDS_TO_FINISH)
            draw_arms(experiment.pk, own, now=NOW)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(part,)) for part in (ids, ids[:5], ids[3:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    drawn = sorted_draws(experiment)
    assert [each.position for each in drawn] == list(range(most or 8))
    assert Assignment.objects.count() == (most or 8)
    assert verify_experiment(experiment.key).difference == ""
