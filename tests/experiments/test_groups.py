from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activity.models import Section
from experiments.metrics.definitions import METRICS, WEEK
from experiments.metrics.observed import Observed
from experiments.models import Experiment
from experiments.queries.groups import (
    BY_COURSE,
    BY_SECTION,
    GroupBy,
    by_day,
    by_trait,
    grouped_outcomes,
    outcomes_over_time,
)
from experiments.stats.sufficient import Counts
from tests.experiments.factories import assign, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment

pytestmark = pytest.mark.django_db

AS_OF = NOW + 3 * WEEK


def grouped(experiment: Experiment, by: GroupBy) -> dict[str, dict[str, Observed]]:
    return grouped_outcomes(experiment.pk, metric=METRICS[0], by=by, as_of=AS_OF)


def rate(reached: int, n: int) -> Observed:
    return Observed(n, Counts(reached, n), ("successes", reached))


def test_outcomes_are_split_by_course_and_section() -> None:
    experiment = running_experiment()
    first, second = make_course(), make_course()
    section = Section.objects.create(course=first, key="a")
    for course, fields in ((first, {"section": section}), (first, {}), (second, {})):
        assignment = assign(experiment, "nudge", NOW, make_enrollment(course, **fields))
        act(assignment.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW)
    assign(experiment, "control", NOW, make_enrollment(second))

    assert grouped(experiment, BY_COURSE) == {
        str(first.pk): {"nudge": rate(2, 2)},
        str(second.pk): {"nudge": rate(1, 1), "control": rate(0, 1)},
    }
    assert grouped(experiment, BY_SECTION) == {
        "": {"nudge": rate(2, 2), "control": rate(0, 1)},
        str(section.pk): {"nudge": rate(1, 1)},
    }


def test_a_trait_of_the_enrollment_comes_before_the_learners() -> None:
    experiment = running_experiment()
    for of_learner, of_enrollment in (({"age": "old"}, {"age": "young"}), ({"age": "old"}, {})):
        enrollment = make_enrollment(traits=of_enrollment)
        enrollment.learner.traits = of_learner
        enrollment.learner.save()
        assign(experiment, "nudge", NOW, enrollment)
    assign(experiment, "nudge", NOW)

    found = grouped(experiment, by_trait("age"))

    assert {name: of_group["nudge"].n for name, of_group in found.items()} == {
        "": 1, "old": 1, "young": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "days"),
    [("UTC", ["2025-09-09"]), ("Asia/Kathmandu", ["2025-09-09", "2025-09-10"])],
)
def test_days_are_those_of_the_zone(zone: str, days: list[Any]) -> None:
    experiment = running_experiment()
    evening = datetime(2025, 9, 9, 18, 10, tzinfo=UTC)
    for at in (evening, evening + timedelta(minutes=10)):
        assign(experiment, "nudge", at)

    found = grouped_outcomes(
        experiment.pk, metric=METRICS[0], by=by_day(zone), as_of=evening + 2 * WEEK
    )

    assert list(found) == days


def test_assignments_that_wait_are_in_no_group(django_assert_num_queries: Any) -> None:
    experiment = running_experiment()
    assign(experiment, "nudge", AS_OF - timedelta(days=1))

    with django_assert_num_queries(1):
        assert grouped(experiment, BY_COURSE) == {}


def test_outcomes_over_time_add_up_day_by_day() -> None:
    experiment = running_experiment()
    for day, arm, attempts in (
        (0, "nudge", 1),
        (1, "control", 0),
        (1, "nudge", 0),
        (3, "nudge", 2),
    ):
        assignment = assign(experiment, arm, NOW + timedelta(days=day))
        for _ in range(attempts):
            act(assignment.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + timedelta(days=day))

    found = outcomes_over_time(experiment.pk, metric=METRICS[0], zone="UTC", as_of=AS_OF)

    assert list(found.values()) == [
        {"nudge": rate(1, 1)},
        {"nudge": rate(1, 2), "control": rate(0, 1)},
        {"nudge": rate(2, 3), "control": rate(0, 1)},
    ]
