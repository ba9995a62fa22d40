"""A report on whole sections compares sections, never single learners."""

import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from itertools import product
from math import isnan

import numpy as np
import pytest
from django.core.management import call_command

from activity.models import Section
from experiments.ledger.snapshots import Snapshot
from experiments.metrics.definitions import METRICS, WEEK
from experiments.models import Experiment
from experiments.operations import draw_arms, draw_present_sections, record_snapshot
from experiments.queries import details, report, verify_experiment
from experiments.reporting.advice import Decision, advice
from experiments.reporting.answer import Judgement, answers
from experiments.reporting.file_rows import FILE_COLUMNS, file_rows
from experiments.reporting.section_checks import never_found_texts, p_of_the_draw, section_text
from experiments.reporting.sensitivity import needed_text
from experiments.reporting.text import cautions, number_rows
from experiments.reporting.verdict import Finding
from experiments.starting import lock_protocol_and_run
from experiments.stats.adjusted import Rows
from experiments.stats.by_section import compare_sections
from experiments.stats.comparison import ADJUSTED, MEANS, RATES, RATIOS, TIMES, Followed
from experiments.stats.joint import JointMoments
from experiments.stats.margins import Verdict
from experiments.stats.sections import Section as DrawnSection
from experiments.stats.sections import section_difference
from experiments.stats.sufficient import Counts, Moments
from experiments.stats.survival import Times
from tests.experiments.factories import make_experiment, make_segment
from tests.factories import NOW, act, all_act, make_course, make_enrollment, make_item

DAY = timedelta(days=1)
# Passed of five learners per section.
CONTROL, NUDGE = (1, 2, 2, 3), (3, 4, 4, 5)


def test_rates_of_sections_are_those_of_zeros_and_ones() -> None:
    counts = {"control": [Counts(k, 5) for k in CONTROL], "nudge": [Counts(k, 5) for k in NUDGE]}
    wholes = {"control": Counts(8, 20), "nudge": Counts(16, 20)}

    (found,) = compare_sections(counts, wholes, family=RATES, control="control")

    rows = [
        DrawnSection(Moments.from_array([1] * k + [0] * (5 - k)), is_treated)
        for is_treated, arm in ((False, CONTROL), (True, NUDGE))
        for k in arm
    ]
    assert found.difference == section_difference(rows).difference
    assert (found.control_level, found.arm_level) == (0.4, 0.8)
    assert found.difference.value == pytest.approx(0.4)
    assert found.relative.reason


def test_a_ratio_of_sections_is_linear_in_its_residuals() -> None:
    rng = np.random.default_rng(11)
    arms = {
        arm: [(rng.integers(0, 4, 6), rng.integers(4, 8, 6)) for _ in range(4)]
        for arm in ("control", "nudge")
    }
    sums = {
        arm: [JointMoments.from_columns(*section) for section in sections]
        for arm, sections in arms.items()
    }
    wholes = {
        arm: JointMoments.from_columns(
            *(np.concatenate(column) for column in zip(*found, strict=True))
        )
        for arm, found in arms.items()
    }

    (found,) = compare_sections(sums, wholes, family=RATIOS, control="control")

    rows = []
    for arm, sections in arms.items():
        top, bottom = (np.concatenate(column) for column in zip(*sections, strict=True))
        r, mean = top.sum() / bottom.sum(), bottom.mean()
        for t, b in sections:
            residuals = r + (t - r * b) / mean
            rows.append(DrawnSection(Moments.from_array(residuals), arm == "nudge"))
    expected = section_difference(rows).difference
    assert found.difference.value == pytest.approx(expected.value)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        (expected.low, expected.high)
    )


def test_times_that_are_not_followed_to_the_end_keep_their_reason() -> None:
    followed = Followed(Times(((1.0, 1, 0), (2.0, 0, 1))), 3.0)
    sums = {"control": [followed] * 3, "nudge": [followed] * 3}

    (found,) = compare_sections(
        sums, {"control": followed, "nudge": followed}, family=TIMES, control="control"
    )

    assert isnan(found.difference.value)
    assert "is observed up to the horizon" in found.difference.reason


def test_followed_times_of_sections_are_means_of_the_cut_times() -> None:
    rng = np.random.default_rng(3)
    arms = {arm: [rng.exponential(4, 9) for _ in range(4)] for arm in ("control", "nudge")}
    followed = {
        arm: [Followed(Times.from_array(each, events=[True] * 9), 5.0) for each in sections]
        for arm, sections in arms.items()
    }
    wholes = {
        arm: Followed(sum((each.times for each in found), start=Times()), 5.0)
        for arm, found in followed.items()
    }
    cut = {arm: [Moments.from_array(np.minimum(each, 5)) for each in arms[arm]] for arm in arms}
    whole_cut = {arm: sum(found, start=Moments(0, 0.0, 0.0)) for arm, found in cut.items()}

    (found,) = compare_sections(followed, wholes, family=TIMES, control="control")
    (expected,) = compare_sections(cut, whole_cut, family=MEANS, control="control")

    numbers = ("value", "low", "high", "p_value", "df")
    assert [getattr(found.difference, name) for name in numbers] == pytest.approx(
        [getattr(expected.difference, name) for name in numbers], rel=1e-9
    )


def test_a_young_adjusted_outcome_of_sections_has_a_reason() -> None:
    rows = Rows(np.array([1.0, 2.0]), {"before": np.array([0.0, 1.0])})
    (found,) = compare_sections(
        {"control": [rows] * 2, "nudge": [rows]}, {"control": rows, "nudge": rows},
        family=ADJUSTED, control="control",
    )  # fmt: skip

    assert "only one section of this arm is counted" in found.difference.reason


def test_an_arm_without_sections_has_a_reason() -> None:
    moments = [Moments.from_array([1, 2])] * 2
    (found,) = compare_sections(
        {"control": moments, "nudge": []},
        {"control": moments[0], "nudge": Moments.from_array([])},
        family=MEANS, control="control",
    )  # fmt: skip

    assert found.difference.reason == "no section of this arm is counted yet"


@pytest.fixture
def experiment(db: None) -> Experiment:
    """Return a running experiment on eight sections of five learners who were all drawn."""
    return of_eight_sections()


def of_eight_sections(**fields: object) -> Experiment:
    course = make_course(live_since=NOW - WEEK)
    found = make_experiment(
        {"control": 0.5, "nudge": 0.5}, segment=make_segment(course), unit="section",
        method="cluster", **fields,
    )  # fmt: skip
    found = lock_protocol_and_run(found.pk, now=NOW)
    for number in range(8):
        section = Section.objects.create(course=course, key=f"class-{number}")
        for _ in range(5):
            make_enrollment(course, section=section)
    draw_present_sections(found.pk, now=NOW)
    for draw in found.section_draws.all():
        draw_arms(found.pk, draw.section.enrollments.values_list("pk", flat=True), now=NOW)
    return found


def attempt(experiment: Experiment, arm: str, numbers: tuple[int, ...]) -> None:
    """Let so many learners of each section of the arm attempt a quiz."""
    draws = experiment.section_draws.filter(arm__key=arm).order_by("position")
    for draw, number in zip(draws, numbers, strict=True):
        first = draw.assignments.order_by("pk").select_related("enrollment")[:number]
        all_act([each.enrollment for each in first], "ATTEMPT_QUIZ", at=NOW + timedelta(hours=1))


@pytest.mark.slow
def test_the_report_compares_sections(experiment: Experiment) -> None:
    attempt(experiment, "control", CONTROL)
    attempt(experiment, "nudge", NUDGE)

    found = report(experiment, as_of=NOW + WEEK)

    row = found.primary.rows[0]
    assert row.metric == METRICS[0]
    assert (row.control_level, row.arm_level) == (0.4, 0.8)
    assert row.comparison.difference.method == "CRV3, t of sections"
    assert row.comparison.difference.df == pytest.approx(7)
    assert [arm.sections for arm in found.arms] == [4, 4]
    assert found.balances == [("Sections drawn", found.balance)]
    assert found.balance.observed == (4, 4)
    # Nothing is said that compares single learners.
    assert (found.staying, found.reach, found.looking) == (None, None, None)
    assert {guard.guardrail.verdict for guard in found.guardrails} <= set(Verdict)
    assert any("Whole sections were drawn: 4 into control, 4 into nudge." in text
               for text in cautions(found))  # fmt: skip
    more = details(experiment, found, as_of=NOW + WEEK)
    assert (more.over_time, more.subgroups) == ([], [])


@pytest.mark.slow
@pytest.mark.django_db
def test_times_and_adjusted_outcomes_come_out_of_a_kept_report_again() -> None:
    others = ["quiz_attempts_7d_adjusted", "module_time_28d"]
    found = of_eight_sections(other_outcomes=others)
    attempt(found, "control", CONTROL)
    attempt(found, "nudge", NUDGE)
    module = make_item(found.assignments.first().enrollment.course, "module")
    for place, assignment in enumerate(found.assignments.order_by("pk")):
        act(assignment.enrollment, "ATTEMPT_QUIZ", occurred_at=NOW - timedelta(hours=1 + place % 3))
        if place % 3:
            at = NOW + place * DAY / 4
            act(assignment.enrollment, "COMPLETE_MODULE", occurred_at=at, item=module)
    for as_of in (NOW, NOW + WEEK, NOW + 4 * WEEK):
        said = report(found, as_of=as_of)
        record_snapshot(found.pk, content=Snapshot.of(said).content(), now=as_of)

    assert verify_experiment(found.key).difference == ""
    _, adjusted, time = (each.rows[0].comparison.difference for each in said.results)
    assert adjusted.method in ("CRV3, t of sections", "regression, CRV3, t of sections")
    assert time.has_interval
    assert time.df == pytest.approx(7)


@pytest.mark.slow
def test_a_learner_who_changes_section_counts_where_drawn(experiment: Experiment) -> None:
    attempt(experiment, "control", CONTROL)
    attempt(experiment, "nudge", NUDGE)
    before = report(experiment, as_of=NOW + WEEK).primary.rows[0].comparison
    moved = experiment.assignments.filter(arm__key="nudge").first()
    assert moved is not None
    other = experiment.section_draws.filter(arm__key="control").first()
    assert other is not None
    moved.enrollment.section = other.section
    moved.enrollment.save()

    assert report(experiment, as_of=NOW + WEEK).primary.rows[0].comparison == before


@pytest.mark.slow
def test_the_page_of_sections_opens(experiment: Experiment, admin_client) -> None:
    attempt(experiment, "nudge", NUDGE)

    response = admin_client.get(f"/reports/{experiment.key}/")

    assert response.status_code == 200
    assert "Whole sections were drawn" in response.content.decode()


def test_the_draw_alone_and_each_section_once_stand_beside_the_comparison(
    experiment: Experiment,
) -> None:
    attempt(experiment, "control", CONTROL)
    attempt(experiment, "nudge", NUDGE)

    found = report(experiment, as_of=NOW + WEEK)

    row = found.primary.rows[0]
    checked = found.primary.checks["nudge"]
    assert checked.randomization is not None
    # The sections are of one size, so they were drawn two by two in the order of their names. Each
    # pair can change its arms: 16 ways, and not the 70 of sections that were drawn one by one.
    draws = experiment.section_draws.order_by("position").values_list("arm__key", "section__key")
    left = {"control": list(CONTROL), "nudge": list(NUDGE)}
    numbers = [left[arm].pop(0) for arm, _ in draws]
    apart = [one - other for one, other in zip(numbers[::2], numbers[1::2], strict=True)]
    ways = [np.dot(signs, apart) for signs in product((1, -1), repeat=4)]
    as_large = sum(bool(abs(way) >= sum(NUDGE) - sum(CONTROL)) for way in ways)
    assert checked.randomization.draws == 16
    assert checked.randomization.p_value == pytest.approx(as_large / 16)
    text = section_text(found, row)
    assert text.startswith("The p-value is by a t with 7 degrees of freedom, from 8 sections. It ")
    assert (
        "It does not use the pairs of the draw: where sections of a pair are alike, the interval "
        "is wider than it need be."
    ) in text
    assert "The draw alone, without any model: of all 16 ways in which these sections" in text
    assert "4 blocks, so 16 draws were possible." in " ".join(cautions(found))
    assert "intraclass correlation" in text
    assert "Learners counted in a section: 5 to 5 (median 5) in control" in " ".join(
        cautions(found)
    )
    assert "With each section counted once, large or small, the difference is +40.0 points" in text
    place = FILE_COLUMNS.index("randomization_p_value")
    rows = {(each[2], each[4]): each[place] for each in file_rows(found)}
    assert rows[row.key, "nudge"] == repr(as_large / 16)
    assert rows[row.key, "control"] == ""
    # Two other outcomes are corrected together, by the draw as by the t: once each is doubled.
    other = found.results[1].rows[0]
    plain, corrected = p_of_the_draw(found, other)
    assert corrected == pytest.approx(min(2 * plain, 1))
    assert "corrected for 2 comparisons)" in section_text(found, other)


def test_an_end_without_an_answer_says_how_many_sections_a_new_experiment_needs(
    experiment: Experiment,
) -> None:
    attempt(experiment, "control", CONTROL)
    attempt(experiment, "nudge", (2, 3, 3, 2))
    Experiment.objects.update(status="stopped", stopped_at=NOW + WEEK)
    experiment.refresh_from_db()
    found = report(experiment, as_of=NOW + WEEK)
    found = replace(found, facts=replace(found.facts, smallest_lift=0.2))

    text = needed_text(found, found.primary.rows[0])

    # By `plan_sample` with a correlation of 0: learners of a section are no more alike than others.
    result = StringIO()
    call_command(
        "plan_sample", baseline=0.4, lift=0.2, icc=0.0, cluster_size=5.0, json=True, stdout=result
    )
    sections = json.loads(result.getvalue())["sections_per_arm"]
    assert text.startswith(f"would need about {sections} sections of 5 learners in each arm to ")
    action = advice(found)
    assert action is not None
    assert text in action.text


def test_a_difference_that_the_draw_of_so_few_sections_makes_by_itself_is_not_found(
    experiment: Experiment,
) -> None:
    attempt(experiment, "control", CONTROL)
    attempt(experiment, "nudge", NUDGE)

    found = report(experiment, as_of=NOW + WEEK)

    row = found.primary.rows[0]
    plain, corrected = p_of_the_draw(found, row)
    # Two of the 16 draws are the most extreme ones, so no p-value of the draw is below 0.125.
    assert (row.comparison.difference.excludes_zero, row.corrected_p < 0.05) == (True, True)
    assert min(plain, corrected) >= 0.125
    assert row.verdict.finding is Finding.DRAWN
    assert "The draw of so few sections can make such a difference by itself" in row.verdict.text
    shown = next(each for each in number_rows(found) if each.interval)
    assert (shown.p_value, shown.corrected) == ("0.125 (draw)", "0.125 (draw)")
    of_primary, of_others = never_found_texts(found)
    assert "no p below 0.12, so no difference can count as found here in “Quiz" in of_primary
    assert "no p below 0.25 among 2 comparisons" in of_others
    (answer,) = answers(found)
    assert answer.judgement is Judgement.NOT_CLEAR
    assert row.verdict.hint in answer.how_sure
    told = advice(found)
    assert told is not None
    assert told.decision is not Decision.KEEP
