"""Learners of the past as a draw would take them, and the command that replays draws."""

import gzip
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from activity.models import Section
from experiments.design import Design
from experiments.metrics.definitions import METRICS
from experiments.models import Assignment
from experiments.operations import draw_arms
from experiments.protocol import read_protocol
from experiments.queries.outcomes import outcomes_since
from experiments.queries.replays import past_of, present_at
from experiments.reporting.replays import DrawPlan, draw_once
from tests.experiments.factories import make_segment, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment, make_item, make_learner

pytestmark = pytest.mark.django_db
METRIC = METRICS[0]
BEFORE = NOW - timedelta(days=8)


@pytest.mark.parametrize(
    "design",
    [
        {},
        {"coverage": "0.6"},
        {"method": "blocks", "strata": "trait region", "coverage": "0.8"},
        {"method": "cluster", "unit": "section"},
    ],
    ids=["hash", "coverage", "blocks", "sections"],
)
def test_replays_draw_as_the_engine_draws(design: dict[str, str]) -> None:
    course = make_course()
    sections = [Section.objects.create(course=course, key=f"class {n}") for n in range(6)]
    people = [
        make_enrollment(
            course, make_learner(traits={"region": "ab"[n % 2]}), section=sections[n % 5 + n % 2]
        )
        for n in range(24)
    ]
    experiment = running_experiment(segment=make_segment(course), now=BEFORE, **design)
    draw_arms(experiment.pk, [each.pk for each in people], now=BEFORE)

    protocol = read_protocol(experiment.protocol)
    past = past_of(
        dict.fromkeys([each.pk for each in people], BEFORE),
        design=protocol.design, metric=METRIC, as_of=NOW,
    )  # fmt: skip
    plan = DrawPlan.of(
        {arm.key: arm.weight for arm in protocol.arms}, control=protocol.control,
        seed=protocol.seed, design=protocol.design, coverage=float(experiment.coverage),
    )  # fmt: skip
    replayed = dict(zip(past.keys, draw_once(past, plan, seed=protocol.seed), strict=True))
    drawn = Assignment.objects.filter(experiment=experiment).values_list("unit_key", "arm__key")

    assert {key: arm for key, arm in replayed.items() if arm} == {
        str(key): arm for key, arm in drawn
    }


def test_rows_of_the_past_add_up_to_the_outcomes(django_assert_num_queries) -> None:
    course = make_course()
    people = [make_enrollment(course) for _ in range(5)]
    quiz = make_item(course, "quiz")
    for each, day in zip(people, (-1, 0, 1, 6, 7), strict=True):
        act(each, "ATTEMPT_QUIZ", occurred_at=BEFORE + timedelta(days=day), item=quiz)
    starts = dict.fromkeys([each.pk for each in people], BEFORE)
    with django_assert_num_queries(2):
        past = past_of(starts, design=Design(), metric=METRIC, as_of=NOW)
    observed = outcomes_since(starts, metric=METRIC, as_of=NOW)

    assert [row[0] > 0 for row in past.rows] == [False, True, True, True, False]
    assert sum(row[0] > 0 for row in past.rows) == observed.tally[1]


def test_an_outcome_whose_window_is_open_is_left_out() -> None:
    enrollment = make_enrollment()
    starts = {enrollment.pk: NOW - timedelta(days=6)}

    assert past_of(starts, design=Design(), metric=METRIC, as_of=NOW).size == 0


def test_only_those_in_the_course_are_present() -> None:
    course = make_course()
    here = make_enrollment(course)
    make_enrollment(course, withdrew_at=BEFORE - timedelta(days=1))
    make_enrollment(course, completed_at=BEFORE - timedelta(days=1))
    make_enrollment(course, enrolled_at=NOW)
    make_enrollment()
    gone_later = make_enrollment(course, withdrew_at=NOW)

    assert present_at(course, at=BEFORE).keys() == {here.pk, gone_later.pk}
    assert len(present_at(course, at=BEFORE, most=1)) == 1
    assert not present_at(course, at=here.enrolled_at - timedelta(days=1))


@pytest.mark.slow
def test_command_replays_a_course_and_changes_nothing(tmp_path: Path) -> None:
    course = make_course(key="past")
    people = [make_enrollment(course) for _ in range(40)]
    began = people[0].enrolled_at
    quiz = make_item(course, "quiz")
    for each in people[::2]:
        act(each, "ATTEMPT_QUIZ", occurred_at=began + timedelta(days=8), item=quiz)
    plot = tmp_path / "p.svg"
    arguments = ("--course", "past", "--day", "7", "--draws", "4", "--lift", "0.2")
    text = _run(*arguments, "--plot", str(plot), "--strata", "trait region")
    (found,) = json.loads(_run(*arguments, "--json"))

    assert "past" in text
    assert (found["learners"], found["level"]) == (40, 0.5)
    assert found["without_effect"]["of"] == found["with_effect"]["of"] == 4
    assert len(found["p_values"]) == 4
    assert "var(" not in plot.read_text()
    assert not Assignment.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--course", "none"), "There is no course none"),
        ((), "There is no course yet"),
        (("--lift", "0"), "a lift above 0"),
        (("--strata", "active_days 7"), "would hold nearly nobody"),
    ],
    ids=str,
)
def test_what_cannot_be_replayed_gives_a_sentence(arguments, sentence) -> None:
    with pytest.raises(CommandError, match=sentence):
        _run(*arguments)


@pytest.fixture
def without_clicks(shared_data: Path, tmp_path: Path) -> Path:
    """Return a folder with the real runs, and no clicks of GGG_2014J: they take long to import."""
    for file in (shared_data / "oulad").glob("*.csv.gz"):
        (tmp_path / file.name).symlink_to(file)
    clicks = "studentVle/GGG_2014J.csv.gz"
    (tmp_path / clicks).parent.mkdir()
    with gzip.open(shared_data / "oulad" / clicks, "rt") as real:
        header = real.readline()
    with gzip.open(tmp_path / clicks, "wt") as file:
        file.write(header)
    return tmp_path


@pytest.mark.slow
def test_a_real_course_shows_no_difference_that_is_not_there(without_clicks: Path) -> None:
    call_command("import_oulad", without_clicks, "--runs", "GGG_2014J", "--json")
    arguments = ("--course", "GGG_2014J", "--strata", "trait num_of_prev_attempts")
    days = ("--day", "0", "--window-days", "260")
    (found,) = json.loads(_run(*arguments, *days, "--draws", "100", "--json"))

    assert found["learners"] == 686
    assert 0.4 < found["level"] < 1
    # Three standard errors of 100 draws at .05 and at .8.
    assert found["without_effect"]["found"] <= 5 + 7
    assert 80 - 12 <= found["with_effect"]["found"] <= 85 + 12
    assert found["promised"] == pytest.approx(0.8, abs=0.001)


def _run(*arguments: str) -> str:
    out = StringIO()
    call_command("replay_draws", *arguments, stdout=out)
    return out.getvalue()
