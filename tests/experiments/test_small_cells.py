"""Numbers of fewer than 5 learners are on no page and in no file, nor found by subtraction."""

import csv
from datetime import timedelta
from io import BytesIO, StringIO
from zipfile import ZipFile

import pytest
from django.test import Client

from experiments.metrics.definitions import GUARDRAILS, METRICS, WEEK
from experiments.metrics.observed import Observed
from experiments.reporting.advice import advice
from experiments.reporting.answer import answer_line, answers
from experiments.reporting.report import Report, build_report, with_checks
from experiments.reporting.sections import guard_texts, staying_texts
from experiments.reporting.small_cells import FEW, REASON, kept_parts
from experiments.reporting.staying import staying_metric
from experiments.reporting.subgroups import subgroups
from experiments.reporting.text import number_rows
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.experiments.test_report import FACTS, arm
from tests.factories import NOW, act, make_course, make_enrollment

PRIMARY = METRICS[0]
LEFT = staying_metric(PRIMARY)


def outcomes(n: int, reached: int) -> dict[str, Observed]:
    metrics = (*METRICS, *(metric for metric, _ in GUARDRAILS))
    found = {each.key: each.observe({(0,): n - reached, (1,): reached}) for each in metrics}
    return found | {LEFT.key: LEFT.observe({(0, 0): n - 1, (0, 1): 1})}


def report_of(control: int, nudge: int) -> Report:
    observed = {"control": outcomes(control, 2), "nudge": outcomes(nudge, 3)}
    arms = [arm("control", 20), arm("nudge", 20)]
    found = build_report(FACTS, arms=arms, metrics=METRICS, observed=observed, deliveries={})
    return with_checks(found, guardrails=GUARDRAILS, observed=observed, anchored={})


def test_an_arm_of_four_has_no_number_in_the_report() -> None:
    found = report_of(12, 4)
    control, nudge = list(number_rows(found))[:2]

    assert (control.counted, control.total, control.level) == ("12", "2", "16.7%")
    assert (nudge.counted, nudge.total, nudge.level) == (FEW, "-", "-")
    assert (nudge.difference, nudge.interval, nudge.p_value) == ("-", "-", "-")
    assert {guard.text.split(": ", 1)[1] for guard in guard_texts(found)} == {f"{REASON}."}
    assert staying_texts(found) == [
        "How many learners left is hidden: an arm has fewer than 5 counted learners."
    ]
    assert answers(found) == []
    assert answer_line(found).startswith("An arm has fewer than 5 counted learners.")
    assert "fewer than 5 of an arm" in getattr(advice(found), "text", "")


def test_an_arm_of_five_is_shown() -> None:
    found = report_of(12, 5)

    assert list(number_rows(found))[1].total == "3"
    assert len(answers(found)) == 1


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ({"a": 9, "b": 9}, {"a", "b"}),
        # Alone, the hidden part would be the whole minus the others.
        ({"a": 4, "b": 9, "c": 30}, {"c"}),
        ({"a": 4, "b": 4, "c": 30}, {"c"}),
        ({"a": 2, "b": 9}, set()),
    ],
)
def test_a_hidden_part_cannot_be_found_by_subtraction(
    sizes: dict[str, int], shown: set[str]
) -> None:
    groups = {key: {"control": n, "nudge": n} for key, n in sizes.items()}

    assert set(kept_parts(groups, arms=["control", "nudge"])) == shown
    observed = {
        key: {each: PRIMARY.observe({(0,): n}) for each, n in found.items()}
        for key, found in groups.items()
    }
    split = subgroups("Course", observed, report=report_of(12, 12))
    assert {part.name for part in split.parts} == shown
    assert split.hidden == len(sizes) - len(shown)


@pytest.mark.django_db
def test_page_and_files_hide_the_same_numbers(admin_client: Client) -> None:
    course = make_course(clock_stopped_at=NOW + timedelta(days=10))
    experiment = running_experiment(key="nudge", segment=make_segment(course))
    for key, counted in (("control", 7), ("nudge", 4)):
        for place in range(counted + 2):
            at = NOW if place < counted else NOW + WEEK
            drawn = assign(experiment, key, at, make_enrollment(course))
            act(drawn.enrollment, "ATTEMPT_QUIZ", occurred_at=at, count=3)
    pages = [admin_client.get(f"/reports/nudge{end}").content.decode() for end in ("/", ".html")]
    of_nudge = [
        row
        for row in csv.DictReader(StringIO(admin_client.get("/reports/nudge.csv").content.decode()))
        if row["arm"] == "nudge"
    ]
    streamed = b"".join(admin_client.get("/reports/nudge.zip").streaming_content)
    with ZipFile(BytesIO(streamed)) as archive:
        rows = list(csv.DictReader(StringIO(archive.read("rows.csv").decode())))
        numbers = archive.read("numbers.csv").decode()

    for page in pages:
        assert "An arm has fewer than 5 counted learners." in page
        assert "100.0%" not in page
    assert {(row["counted"], row["rate_or_mean"], row["successes"]) for row in of_nudge} == {
        ("", "", "")
    }
    assert {row["reason"] for row in of_nudge} == {REASON}
    assert len(of_nudge) == len(METRICS) + len(GUARDRAILS)
    own = [row for row in rows if row["arm"] == "nudge"]
    assert {row["quiz_attempted_7d"] + row["left"] + row["inactive_7d"] for row in own} == {""}
    assert sum(row["quiz_attempted_7d"] == "1" for row in rows) == 7
    assert "outcome,quiz_attempted_7d,nudge,counted" not in numbers
