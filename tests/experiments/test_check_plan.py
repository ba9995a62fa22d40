"""How many learners a plan will have, and what they can show."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activity.access import COMMAND_LINE
from experiments.metrics.definitions import METRICS, WEEK
from experiments.reporting.check_power import (
    PowerFacts,
    detectable,
    power_curve,
    power_of,
    power_texts,
)
from experiments.reporting.prospects import Prospects, arrivals, expected_rows, planned_text
from experiments.stats.designs import SectionDesign
from experiments.stats.power import detectable_difference, needed_per_arm
from segmentation.models import Transition
from segmentation.queries import entries_by_week, first_entries
from tests.experiments.factories import make_segment
from tests.factories import NOW, make_course, make_enrollment

HALVES = {"control": 0.5, "nudge": 0.5}
USUAL = Prospects(NOW, "Europe/London", members=100, weeks=(10, 20, 30, 20), entered=60)
FACTS = PowerFacts(
    METRICS[0], HALVES, "control", "nudge", 0.95, baseline=0.3, learners=500, planned=712
)


@pytest.mark.parametrize(
    ("change", "weeks", "planned", "words"),
    [
        ({}, 4, 160, "No end is planned, so 4 weeks are assumed: about 160 learners until"),
        ({"ends_at": NOW + 2 * WEEK}, 2, 130, "Planned: about 130 learners"),
        ({"most": 130}, 2, 130, "Planned: about 130 learners"),
        ({"most": 40}, 0, 40, "Planned: about 40 learners"),
        ({"share": 0.5}, 4, 80, "about 80 learners"),
        ({"share": 0.5, "reached": 40}, 4, 60, "about 60 learners"),
        ({"most": 900, "ends_at": NOW + WEEK}, 1, 115, "it has only about 115 learners"),
        ({"most": 900, "entered": 0}, 4, 100, "it has only about 100 learners"),
    ],
    ids=str,
)
def test_the_plan_follows_from_members_entries_and_end(change, weeks, planned, words) -> None:
    known = replace(USUAL, **change)

    assert (known.end, known.planned) == (NOW + weeks * WEEK, planned)
    assert words in planned_text(known)


def test_learners_count_once_their_window_is_over() -> None:
    rows = expected_rows(USUAL, window=WEEK)

    assert [(row.drawn, row.counted) for row in rows] == [
        ("115", "100"), ("130", "115"), ("160", "145"), ("175", "160")
    ]  # fmt: skip
    ended = expected_rows(replace(USUAL, ends_at=NOW + 4 * WEEK), window=WEEK)
    assert (ended[-1].drawn, ended[-1].counted) == ("160", "160")
    assert USUAL.drawn_by(NOW - timedelta(seconds=1)) == 0


def test_entries_are_said_by_week_and_once() -> None:
    text = " ".join(arrivals(USUAL))

    assert "100 learners are in it now." in text
    assert "10, 20, 30, 20. Each counted once, these are 60 learners. New learners" in text
    assert "expected per week: about 15." in text
    outside = " ".join(arrivals(replace(USUAL, share=0.5, outside=48)))
    assert "48 of them are outside its part of the exclusion layer and are left out." in outside
    assert "per week: less than 1." in " ".join(
        arrivals(replace(USUAL, weeks=(0, 0, 1, 0), entered=1))
    )


def test_power_agrees_with_plan_sample() -> None:
    assert needed_per_arm(baseline=0.3, lift=0.1) == 356
    found = detectable(FACTS)

    assert found.rise == pytest.approx(0.1, abs=0.0002)
    assert power_of(FACTS, total=712, lift=0.1) == pytest.approx(0.8, abs=0.002)
    assert "With 356 and 356 learners you would see a difference of about 10 points" in " ".join(
        power_texts(FACTS)
    )


def test_power_grows_along_the_curve() -> None:
    curve = power_curve(replace(FACTS, planned=2000), lift=0.1)

    assert [power for _, power in curve] == sorted(power for _, power in curve)
    assert dict(curve)[2000] > 0.99
    assert power_curve(FACTS, lift=0.8) == ()
    assert power_curve(replace(FACTS, planned=0), lift=0.1) == ()


def test_several_arms_need_a_larger_difference() -> None:
    weights = {"control": 0.4, "weekly": 0.4, "daily": 0.2}
    facts = replace(FACTS, weights=weights, treated="daily", planned=1000)
    alone = detectable_difference(400, 200, baseline=0.3)

    assert detectable(facts).rise > alone.rise
    assert "2 arms are compared with the control" in " ".join(power_texts(facts))


def test_sections_show_less_than_as_many_learners() -> None:
    sections = SectionDesign(0, 0, size=1.0, icc=0.1)
    facts = replace(FACTS, planned=700, sections=sections, most_sections=28)

    assert detectable(facts).rise > 1.5 * detectable(replace(FACTS, planned=700)).rise
    assert "With 14 and 14 sections" in " ".join(power_texts(facts))
    # More learners of the same sections help only so much.
    assert power_of(facts, total=700, lift=0.1) < power_of(facts, total=10**7, lift=0.1) < 0.7
    assert power_of(replace(facts, sections=None), total=7000, lift=0.1) > 0.99
    few = replace(facts, most_sections=2)
    assert "no difference could be seen: an arm of whole sections" in " ".join(power_texts(few))


@pytest.mark.django_db
def test_first_entries_and_weeks_count_what_could_start_something(
    django_assert_num_queries,
) -> None:
    course = make_course()
    segment, other = make_segment(course), make_segment(course)
    ana, bo, cy = (make_enrollment(course) for _ in range(3))

    def entry(enrollment, days, **fields) -> None:
        at = NOW - timedelta(days=days)
        values = {"segment": segment, "kind": "enter", "cause": "event", "starts": True, **fields}
        Transition.objects.create(
            enrollment=enrollment, version=1, occurred_at=at, next_attempt_at=at, **values
        )

    entry(ana, 20)
    entry(ana, 3)
    entry(bo, 2)
    entry(bo, 40)
    entry(cy, 1, cause="baseline")
    entry(cy, 1, starts=False)
    entry(cy, 1, kind="leave")
    entry(cy, 1, segment=other)
    since, everybody = NOW - timedelta(weeks=4), COMMAND_LINE
    with django_assert_num_queries(2):
        found = first_entries([segment.pk], since=since, until=NOW, most=10, viewer=everybody)
    with django_assert_num_queries(2):
        weeks = entries_by_week([segment.pk], weeks=4, until=NOW, viewer=everybody)

    assert found == {ana.pk: NOW - timedelta(days=20), bo.pk: NOW - timedelta(days=2)}
    assert weeks == ((0, 1, 0, 2), 2)


def test_looks_cost_a_little_power() -> None:
    looking = replace(FACTS, looks=3)

    # Jennison and Turnbull (2000), table 2.3 has 1.017 for O'Brien-Fleming and three looks.
    assert 1 / looking.worth == pytest.approx(1.017, abs=0.01)
    assert power_of(looking, total=712, lift=0.1) < power_of(FACTS, total=712, lift=0.1)
    assert "3 looks are planned" in " ".join(power_texts(looking))
    assert "(a look)" in expected_rows(replace(USUAL, looks=(NOW + WEEK,)), window=WEEK)[0].day
