"""Looks at an experiment: planned ones, the interval for any day, and the page's other sections."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils.html import escape

from activity.models import Enrollment
from experiments.metrics.definitions import METRICS, MORE_METRICS, WEEK, metric_definition
from experiments.models import Experiment
from experiments.protocol import Analysis, ProtocolError
from experiments.queries import details, report
from experiments.reporting.answer import Judgement, answers, judge
from experiments.reporting.curves import WIDE, event_curves, event_curves_svg, over_time_svg
from experiments.reporting.sections import (
    before_rows,
    mismatch_text,
    part_tables,
    staying_texts,
)
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import assign, make_experiment, make_segment
from tests.factories import NOW, act, all_act, make_course, make_enrollment, make_item

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIME_TO = next(metric for metric in MORE_METRICS if metric.key == "module_time_28d")


def started(**analysis: Any) -> Experiment:
    """Return a running experiment of a live course whose protocol has these words on its looks."""
    course = make_course(live_since=NOW - WEEK)
    experiment = make_experiment(segment=make_segment(course))
    experiment = lock_protocol_and_run(experiment.pk, now=NOW)
    protocol = json.loads(experiment.protocol)
    protocol["analysis"] |= analysis
    protocol["metrics"].append(metric_definition(TIME_TO))
    experiment.protocol = json.dumps(protocol)
    experiment.save()
    return experiment


def drawn(
    experiment: Experiment, arm: str, n: int, reached: int, *, at: datetime = NOW, **fields: Any
) -> list[Enrollment]:
    """Draw `n` learners into the arm, of whom `reached` attempt a quiz an hour later."""
    assert experiment.segment is not None
    course = experiment.segment.playbook.courses.get()
    found = [make_enrollment(course, **fields) for _ in range(n)]
    for enrollment in found:
        assign(experiment, arm, at, enrollment)
    all_act(found[:reached], "ATTEMPT_QUIZ", at=at + HOUR)
    return found


@pytest.mark.slow
def test_a_difference_found_by_looking_early_does_not_stand() -> None:
    experiment = started(expected_learners=80)
    drawn(experiment, "control", 40, 10)
    drawn(experiment, "nudge", 40, 20)

    found = report(experiment, as_of=NOW + WEEK)

    row = found.primary.rows[0]
    assert row.comparison.difference.excludes_zero
    assert judge(found, row) is Judgement.EARLY
    (answer,) = answers(found)
    assert answer.found.startswith("So far, it is too early to tell whether learners in “nudge”")
    assert re.search(r"goes from -\d.* points, and it holds zero\.$", answer.how_sure)


@pytest.mark.slow
def test_a_difference_beyond_the_wide_interval_stands_on_any_day() -> None:
    experiment = started(expected_learners=80)
    drawn(experiment, "control", 40, 5)
    drawn(experiment, "nudge", 40, 32)

    found = report(experiment, as_of=NOW + WEEK)

    assert judge(found, found.primary.rows[0]) is Judgement.BETTER


@pytest.mark.slow
def test_once_the_experiment_is_stopped_the_usual_interval_decides() -> None:
    experiment = started(expected_learners=80)
    drawn(experiment, "control", 40, 10)
    drawn(experiment, "nudge", 40, 20)
    experiment.status, experiment.stopped_at = "stopped", NOW + WEEK

    found = report(experiment, as_of=NOW + WEEK)

    assert judge(found, found.primary.rows[0]) is Judgement.BETTER


@pytest.mark.slow
def test_a_planned_look_takes_more_at_first_and_counts_only_its_own_learners() -> None:
    looks = [(NOW + days).isoformat() for days in (WEEK, 2 * WEEK)]
    experiment = started(expected_learners=160, looks=looks)
    drawn(experiment, "control", 40, 10)
    drawn(experiment, "nudge", 40, 20)
    drawn(experiment, "nudge", 40, 40, at=NOW + DAY)

    before = report(experiment, as_of=NOW + WEEK - HOUR).looking
    first = report(experiment, as_of=NOW + WEEK + DAY + HOUR).looking

    assert before is not None
    assert (before.made, before.next_at) == (None, NOW + WEEK)
    assert first is not None
    assert first.made is not None
    assert (first.made.at, first.made.look.number, first.next_at) == (
        NOW + WEEK, 1, NOW + 2 * WEEK,
    )  # fmt: skip
    # 80 of 160 learners: half of the information, of which 2.96 is in print (gsDesign, alpha .05).
    assert first.made.look.fraction == 0.5
    assert first.made.look.critical == pytest.approx(2.9626, abs=5e-5)
    (comparison,) = first.made.comparisons
    assert (comparison.control_level, comparison.arm_level) == (0.25, 0.5)
    assert not comparison.difference.excludes_zero
    assert not first.made.decides


@pytest.mark.slow
def test_the_last_planned_look_decides_while_the_experiment_still_runs() -> None:
    looks = [(NOW + days).isoformat() for days in (WEEK, 2 * WEEK)]
    experiment = started(expected_learners=80, looks=looks)
    drawn(experiment, "control", 40, 10)
    drawn(experiment, "nudge", 40, 20)

    found = report(experiment, as_of=NOW + 2 * WEEK)

    assert found.looking is not None
    assert found.looking.is_final
    assert judge(found, found.primary.rows[0]) is Judgement.BETTER


@pytest.mark.parametrize(
    ("analysis", "sentence"),
    [
        ({"looks": (NOW.isoformat(), (NOW + HOUR).isoformat())}, "on different days"),
        ({"looks": ("2025-09-10T00:00:00",)}, "an instant with an offset"),
        ({"looks": ("soon",)}, "“soon” is no instant"),
        ({"expected_learners": 0}, "at least 1"),
        ({"smallest_lift": 0.0}, "above 0"),
        ({"correction": "Bonferroni"}, "“Bonferroni” is not known"),
    ],
)
def test_an_analysis_that_cannot_be_made_is_refused(
    analysis: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        Analysis(**analysis)


def test_parts_with_fewer_than_five_learners_of_an_arm_are_hidden() -> None:
    experiment = started(subgroups=["sex"])
    for arm, reached in (("control", 2), ("nudge", 5)):
        drawn(experiment, arm, 6, reached, traits={"sex": "f"})
        drawn(experiment, arm, 3, 0, traits={"sex": "m"})
        drawn(experiment, arm, 2, 0, traits={"sex": "x"})
    found = report(experiment, as_of=NOW + WEEK)

    (table,) = part_tables(found, details(experiment, found, as_of=NOW + WEEK))

    assert (table.name, [row.name for row in table.rows]) == ("sex", ["f"])
    assert table.rows[0].counted == ["6", "6"]
    assert table.rows[0].differences[0].startswith("+50.0 points (")
    assert table.hidden == (
        "2 parts are not shown: an arm has fewer than 5 counted learners there, or they could be "
        "found by subtraction."
    )


def test_courses_are_parts_and_those_of_others_are_not_named() -> None:
    experiment = started()
    assert experiment.segment is not None
    second = make_course(title="Second", live_since=NOW - WEEK)
    experiment.segment.playbook.courses.add(second)
    for arm in ("control", "nudge"):
        drawn_in = [make_enrollment(second) for _ in range(5)]
        for enrollment in drawn_in:
            assign(experiment, arm, NOW, enrollment)
    found = report(experiment, as_of=NOW + WEEK)

    (table,) = part_tables(found, details(experiment, found, as_of=NOW + WEEK))

    assert (table.name, [row.name for row in table.rows]) == ("Course", ["Second"])


def test_the_time_before_the_draw_counts_only_those_enrolled_so_long() -> None:
    experiment = started()
    for arm, views in (("control", 1), ("nudge", 3)):
        for place, each in enumerate(drawn(experiment, arm, 6, 0, enrolled_at=NOW - 2 * WEEK)):
            for _ in range(views + place % 2):
                act(each, "VIEW_ITEM", occurred_at=NOW - DAY)
        drawn(experiment, arm, 2, 0, enrolled_at=NOW - DAY)
    found = report(experiment, as_of=NOW + WEEK)

    rows = {
        row.name: row for row in before_rows(found, details(experiment, found, as_of=NOW + WEEK))
    }

    acts = rows["Everything done in the 7 days before"]
    assert acts.means == ["1.50", "3.50"]
    # 2 apart, with a variance of 0.3 in each arm.
    assert (acts.apart, acts.is_notable) == (f"{2 / 0.3**0.5:+.2f}", True)
    assert rows["Quiz attempts in the 7 days before"].apart == "nobody did any in these 7 days"


@pytest.mark.slow
def test_the_curves_escape_names_and_have_a_step_per_event() -> None:
    experiment = started()
    for place, each in enumerate(drawn(experiment, "nudge", 12, 6)):
        drawn(experiment, "control", 1, 0, at=NOW + place * DAY)
        if place < 3:
            module = make_item(each.course, "module")
            act(each, "COMPLETE_MODULE", item=module, occurred_at=NOW + (place + 1) * DAY)
    protocol = json.loads(experiment.protocol)
    protocol["arms"][1]["name"] = "<b>Nudge</b>"
    experiment.protocol = json.dumps(protocol)
    as_of = NOW + 4 * WEEK
    found = report(experiment, as_of=as_of)

    curves = {result.metric.key: event_curves(result, found) for result in found.results}
    over_time = over_time_svg(
        details(experiment, found, as_of=as_of).over_time, factor=100, width=WIDE
    )

    assert not any(curves[metric.key] for metric in METRICS)
    of_nudge = [step[1:] for step in curves[TIME_TO.key] if step[0] == "<b>Nudge</b>"]
    steps = ((0, 0), (1, 1 / 12), (2, 2 / 12), (3, 3 / 12), (28, 3 / 12))
    assert of_nudge == [pytest.approx(step) for step in steps]
    drawing = event_curves_svg(curves[TIME_TO.key], width=WIDE)
    assert escape("<b>Nudge</b>") in drawing
    assert "<b>Nudge" not in drawing
    assert "<path" in over_time
    assert "NaN" not in over_time


def test_one_day_has_no_curve_over_time() -> None:
    experiment = started()
    drawn(experiment, "control", 6, 1)
    drawn(experiment, "nudge", 6, 1)
    found = report(experiment, as_of=NOW + 4 * WEEK)

    assert (
        over_time_svg(
            details(experiment, found, as_of=NOW + 4 * WEEK).over_time, factor=100, width=WIDE
        )
        == ""
    )
    # Nobody completed a module, so a curve would be a flat line without a scale.
    assert TIME_TO.key in {result.metric.key for result in found.results}
    assert not any(event_curves(result, found) for result in found.results)
    assert mismatch_text(found) == ""
    assert staying_texts(found) == ["No learner left the course before being counted."]
