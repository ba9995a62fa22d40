"""The sentences on what two halves could show."""

from datetime import timedelta

import pytest

from experiments.metrics.definitions import METRICS
from experiments.queries import outcomes_since
from experiments.reporting.planning import UsualShare, findings, usual_share
from tests.factories import NOW, act, make_enrollment

KNOWN = UsualShare(0.3, "The 30% is measured.")
WEEK = METRICS[0].window
SECOND = timedelta(seconds=1)


def of_learners(reached: int, counted: int) -> UsualShare:
    seen = METRICS[0].observe({(1,): reached, (0,): counted - reached})
    return usual_share(seen, since=NOW - 5 * WEEK, until=NOW - WEEK, zone="Europe/London")


def test_two_halves_say_the_smallest_difference_that_they_show() -> None:
    first, more, source = findings(9, KNOWN)

    assert first == (
        "With 9 and 9 learners you would see only a difference of about 63 percentage points or "
        "more (if 30% attempt a quiz without it). Smaller help stays unseen. Even help of that "
        "size is seen in only 4 of 5 such experiments."
    )
    assert more == "A difference of 10 percentage points takes about 356 learners in each half."
    assert source == KNOWN.source
    assert list(findings(400, KNOWN))[1:] == [KNOWN.source]


def test_too_few_learners_get_the_reason() -> None:
    first, *_ = findings(2, KNOWN)

    assert first.startswith("With 2 and 2 learners no difference could be seen (if 30% attempt")
    assert first.endswith("even if it is nobody against everybody.")


def test_unknown_number_of_learners_is_said() -> None:
    assert list(findings(0, KNOWN)) == [
        "It is not known how many learners will enter, so nobody can say yet what this would show.",
        "A difference of 10 percentage points takes about 356 learners in each half.",
        KNOWN.source,
    ]


def test_tiny_difference_is_rounded_up() -> None:
    assert "about 1 percentage point or more" in next(findings(50_000, KNOWN))


def test_share_is_measured_among_those_who_entered_before() -> None:
    found = of_learners(12, 40)

    assert found.rate == 0.3
    assert found.source == (
        "The 30% is measured: of the 40 learners who entered from Tuesday 26 August 2025 to "
        "Tuesday 23 September 2025, 12 attempted a quiz within 7 days."
    )


def test_share_is_assumed_and_said_to_be_if_too_few_entered() -> None:
    found = of_learners(19, 19)

    assert found.rate == 0.5
    assert "50% is assumed" in found.source


@pytest.mark.django_db
def test_outcomes_are_those_of_a_draw_at_the_same_instant(django_assert_num_queries) -> None:
    early, late, never, open_still = (make_enrollment() for _ in range(4))
    act(early, "ATTEMPT_QUIZ", occurred_at=NOW)
    act(late, "ATTEMPT_QUIZ", occurred_at=NOW + WEEK)
    act(open_still, "ATTEMPT_QUIZ", occurred_at=NOW + 2 * SECOND)
    starts = {each.pk: NOW for each in (early, late, never)} | {open_still.pk: NOW + SECOND}

    with django_assert_num_queries(1):
        found = outcomes_since(starts, metric=METRICS[0], as_of=NOW + WEEK)

    assert (found.n, found.tally) == (3, ("successes", 1))
    assert outcomes_since({}, metric=METRICS[0], as_of=NOW).n == 0
