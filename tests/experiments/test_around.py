"""Before and after: which entries are counted, what is read, and how changes are compared."""

from datetime import UTC, datetime, timedelta

import pytest
from scipy import stats

from experiments.metrics.around import metrics_around
from experiments.metrics.outcomes import KINDS
from experiments.queries.around import control_enrollments, known_entries, pairs_around
from experiments.reporting.around import (
    Around,
    around,
    by_itself,
    change_of,
    held_out_line,
    lines,
    split_entries,
    unknown_intervals,
    verdict,
)
from experiments.reporting.around_plots import around_svg
from experiments.reporting.around_text import Who, Without, expectation, left_out, weaknesses
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.factories import NOW, act, hold_feed, make_course, make_enrollment, make_item

WEEK = timedelta(days=7)
QUIZ, ATTEMPTS, _, DAYS_ACTIVE = metrics_around(7)
AT = datetime(2025, 9, 15, 12, tzinfo=UTC)


def rates(before: int, after: int, *, of: int) -> dict[int, tuple[int, int]]:
    """Return learners of whom the first ones have the outcome before, and the last ones after."""
    return {each: (int(each < before), int(each >= of - after)) for each in range(of)}


def test_outcomes_are_those_of_experiments_with_another_window() -> None:
    assert [each.window for each in metrics_around(14)] == [timedelta(days=14)] * 4
    assert all(each.outcome.kind in KINDS for each in metrics_around(14))
    assert "7 days" not in " ".join(each.name + each.words for each in metrics_around(14))


@pytest.mark.django_db
def test_each_window_reads_its_own_days(django_assert_num_queries) -> None:
    course = make_course()
    ana, bo = make_enrollment(course), make_enrollment(course)
    quiz = make_item(course, "quiz")
    for days in (-7, -3, -0.001, 0, 6.999):
        act(ana, "ATTEMPT_QUIZ", item=quiz, occurred_at=AT + timedelta(days=days))
    # The second before the windows and the first after them.
    act(bo, "ATTEMPT_QUIZ", item=quiz, occurred_at=AT - WEEK - timedelta(seconds=1))
    act(bo, "ATTEMPT_QUIZ", item=quiz, occurred_at=AT + WEEK)

    with django_assert_num_queries(2):
        found = pairs_around({ana.pk: AT, bo.pk: AT}, metrics=metrics_around(7), as_of=NOW)

    assert found[QUIZ.key] == {ana.pk: (1, 1), bo.pk: (0, 0)}
    assert found[ATTEMPTS.key] == {ana.pk: (3, 2), bo.pk: (0, 0)}
    assert found[DAYS_ACTIVE.key] == {ana.pk: (3, 2), bo.pk: (0, 0)}


@pytest.mark.django_db
def test_entries_without_known_days_are_left_out_and_counted(django_assert_num_queries) -> None:
    course = make_course()
    known = make_enrollment(course)
    late = make_enrollment(course, enrolled_at=AT - timedelta(days=6))
    waiting, over = make_enrollment(course), make_enrollment(course)
    ends = datetime(2025, 10, 26, tzinfo=UTC)
    starts = {known.pk: AT, late.pk: AT, waiting.pk: NOW - timedelta(days=6), over.pk: ends}

    with django_assert_num_queries(1):
        found = known_entries(starts, course, window=WEEK, as_of=NOW)

    assert found.starts == {known.pk: AT}
    assert (found.new, found.not_ended, found.over) == (1, 1, 1)
    hold_feed(course, since=AT + timedelta(days=6))
    course.refresh_from_db()
    assert known_entries(starts, course, window=WEEK, as_of=NOW).starts == {}


@pytest.mark.django_db
def test_learners_of_control_arms_are_known() -> None:
    segment = make_segment()
    experiment = running_experiment(segment=segment)
    control, nudged = assign(experiment, "control", NOW), assign(experiment, "nudge", NOW)
    other = assign(running_experiment(), "control", NOW)
    asked = [each.enrollment_id for each in (control, nudged, other)]

    assert control_enrollments(segment, asked) == {control.enrollment_id}


def test_entries_are_split_at_the_first_message() -> None:
    starts = {1: AT - WEEK, 2: AT - timedelta(days=1), 3: AT, 4: AT + WEEK}

    hours = timedelta(hours=2)

    found = split_entries(starts, {3: [AT + hours, AT + WEEK], 9: [AT + WEEK]}, window=WEEK)

    assert (set(found.earlier), set(found.since), found.between) == ({1}, {3, 4}, 1)
    assert set(split_entries(starts, {}, window=WEEK).earlier) == {1, 2, 3, 4}
    # Nobody who is counted got a message: those who entered after the first one are set apart.
    found = split_entries(starts, {9: [AT + hours]}, window=WEEK)
    assert (set(found.earlier), set(found.since), found.between) == ({1}, {4}, 2)


def test_lines_of_a_table_subtract_and_the_difference_is_that_of_welch() -> None:
    without, with_messages = rates(9, 40, of=120), rates(7, 64, of=130)
    found = around(QUIZ, without, with_messages)

    first, second, last = lines(found, without="before", with_messages="since")

    assert (first.n, first.before, first.after, first.change) == (
        "120", "7.5%", "33.3%", "+25.8 points",
    )  # fmt: skip
    assert (second.before, second.after, second.change) == ("5.4%", "49.2%", "+43.8 points")
    assert last.change == "+18.0 points"
    difference = found.difference
    assert difference is not None
    other = stats.ttest_ind(
        [after - before for before, after in with_messages.values()],
        [after - before for before, after in without.values()],
        equal_var=False,
    )
    limits = other.confidence_interval()
    assert difference.low <= limits.low + 1e-9
    assert difference.high >= limits.high - 1e-9
    assert verdict(found).startswith("It rose more, or fell less, since messages go out.")


def test_a_change_that_comes_by_itself_is_no_difference() -> None:
    found = around(QUIZ, rates(9, 40, of=120), rates(10, 43, of=130))

    assert verdict(found) == "The two changes do not differ more than by chance."
    text = by_itself(found, days=7)
    assert text.startswith("In the 7 days before they entered, 7.5% of learners attempted a quiz")
    assert text.endswith("interval +15.1 to +36.3), without a message.")
    attempts = around(ATTEMPTS, rates(9, 40, of=120), rates(10, 43, of=130))
    assert "before they entered there were 0.07" in by_itself(attempts, days=7)


def test_few_learners_are_hidden_and_nobody_is_compared_with_them() -> None:
    assert change_of(QUIZ, [(0, 1)] * 4) is None
    found = around(ATTEMPTS, rates(0, 2, of=4), rates(1, 3, of=12))

    assert [line.name for line in lines(found, without="a", with_messages="b")] == ["b"]
    assert (by_itself(found, days=7), verdict(found)) == ("", "")
    assert list(lines(Around(QUIZ, None, None), without="a", with_messages="b")) == []
    assert around_svg(Around(QUIZ, None, None)) == ""
    little = around(ATTEMPTS, rates(0, 20, of=60), rates(0, 8, of=9))
    assert little.difference is not None
    assert "fewer than 10" in little.difference.reason
    assert unknown_intervals(little, without="a", with_messages="b").startswith(
        "The interval of “b” is not known: fewer than 10"
    )
    assert held_out_line(QUIZ, rates(0, 2, of=4), rates(0, 9, of=30)) is None


def test_held_out_learners_are_compared_by_what_they_do_afterwards() -> None:
    line = held_out_line(QUIZ, rates(0, 100, of=400), rates(0, 158, of=400))

    assert line is not None
    assert (line.before, line.after, line.change) == ("25.0%", "39.5%", "+14.5 points")


def test_no_text_calls_a_change_an_effect_or_a_lift() -> None:
    texts = [
        text
        for kind in Without
        for who in [Who(kind, 7, "Monday", 9, 1, 3, new=1, not_ended=2, over=3, between=4)]
        for text in (expectation(who), left_out(who), *weaknesses(who))
    ]

    assert "1 learner " in expectation(Who(Without.ALL, 7, "", 1, 0, 0))
    assert left_out(Who(Without.ALL, 7, "", 9, 0, 0)) == ""
    for word in ("effect", "lift", "impact", "caused"):
        assert word not in " ".join(texts)


def test_plot_shows_each_group_before_and_after() -> None:
    svg = around_svg(around(ATTEMPTS, rates(9, 40, of=120), rates(7, 64, of=130)))

    assert "without a message" in svg
    assert "with messages" in svg
    assert "before" in svg
    assert "NaN" not in svg
