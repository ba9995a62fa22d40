"""The words of a report: its order, which number to quote, and what each number rests on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from experiments.exports.numbers_book import numbers_book
from experiments.metrics.definitions import METRICS, MORE_METRICS
from experiments.reporting.answer import interval_words
from experiments.reporting.drawn import expected_text
from experiments.reporting.figures import Figures
from experiments.reporting.file_rows import FILE_COLUMNS, file_rows
from experiments.reporting.methods import methods
from experiments.reporting.report import Report, build_report
from experiments.reporting.text import no_relative_texts
from experiments.reporting.verdict import balance_text
from experiments.stats.balance import sample_ratio
from experiments.stats.estimate import unknown
from experiments.stats.units import PLAIN
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.experiments.test_report import AS_OF, FACTS, arm, two_arms
from tests.factories import NOW, act, make_course, make_enrollment

ADJUSTED = next(metric for metric in MORE_METRICS if metric.outcome.kind == "adjusted")
RATE, MEAN = METRICS[:2]
# The order that the answer, its grounds and its details have on the page.
ORDER = (
    'id="answer"', 'id="arms"', "The primary outcome", "Other outcomes", 'id="over-time"',
    'id="guards"', 'id="received"', 'id="before"', 'id="cautions"', 'id="numbers"', 'id="how"',
)  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/reports/nudge/", "/reports/nudge.html"])
def test_the_page_goes_from_the_answer_to_its_grounds_to_its_details(
    client: Client, page: str
) -> None:
    course = make_course(clock_stopped_at=NOW + timedelta(days=10))
    experiment = running_experiment(key="nudge", segment=make_segment(course))
    for place in range(24):
        at = NOW + timedelta(days=place // 20)
        learner = make_enrollment(course, enrolled_at=NOW - timedelta(days=30))
        assign(experiment, ("control", "nudge")[place % 2], at, learner)
        if place % 3:
            act(learner, "ATTEMPT_QUIZ", occurred_at=at)
    client.force_login(User.objects.create_superuser("root"))
    text = client.get(page).content.decode()

    places = [text.find(part) for part in ORDER]
    assert min(places) > 0
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([1000, 1120], "in about one of 100 fair draws (p = 0.010)"),
        ([5000, 5370], "in fewer than one of 1,000 fair draws (p < 0.001)"),
    ],
)
def test_a_surprise_is_as_rare_as_a_draw_can_tell(sizes: list[int], words: str) -> None:
    assert words in balance_text(sample_ratio(sizes, [1, 1]))


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"expected_learners": None}, ""),
        (
            {"expected_learners": 600, "is_running": True},
            (
                "The plan reckons with 600 learners in all, and 415 were drawn so far. In the 4.3 "
                "weeks since the start, that makes a mean of 97 new learners per week. At this "
                "pace it takes 2 more weeks."
            ),
        ),
        (
            {"expected_learners": 400, "stopped_at": AS_OF},
            # The last was drawn two weeks after the start, and the end came two weeks later.
            (
                "The plan reckons with 400 learners in all, and 415 were drawn. In the 2 weeks "
                "from the start to the last draw, that makes a mean of 208 new learners per week."
            ),
        ),
        (
            {"expected_learners": 400, "started_at": AS_OF - timedelta(days=1)},
            "The plan reckons with 400 learners in all, and 415 were drawn.",
        ),
    ],
)
def test_drawn_learners_are_set_beside_the_planned_ones(
    facts: dict[str, object], text: str
) -> None:
    found = two_arms(**facts)
    arms = [replace(each, last_at=AS_OF - timedelta(days=16)) for each in found.arms]

    assert expected_text(replace(found, arms=arms)) == text


def adjusted_report(before: tuple[int | None, ...], **facts: object) -> Report:
    """Return a report on 20 learners per arm, whose numbers before the draw repeat these."""
    frequencies = {
        key: {(number + lift, before[number % len(before)]): 5 for number in range(4)}
        for key, lift in (("control", 0), ("nudge", 1))
    }
    return build_report(
        replace(FACTS, **facts),
        arms=[arm(key, 20) for key in frequencies],
        metrics=[RATE, MEAN, ADJUSTED][0 if facts else 2 :],
        observed={
            key: {
                ADJUSTED.key: ADJUSTED.observe(found),
                MEAN.key: MEAN.observe({(number,): n for (number, _), n in found.items()}),
                RATE.key: RATE.observe({(0,): 9, (1,): 11}),
            }
            for key, found in frequencies.items()
        },
        deliveries={},
    )


def test_an_outcome_that_nothing_adjusts_says_so_and_why() -> None:
    constant, varied = adjusted_report((3,)), adjusted_report((1, 2, 2, 5))
    why = (
        "Nothing was adjusted for: the same number before the draw is left out: in an arm, it is "
        "the same for every learner."
    )

    assert methods(constant)[0].endswith(f"(Welch t). {why}")
    assert interval_words(constant, constant.rows[0]).endswith(why)
    assert methods(varied)[0].endswith("(Lin's adjustment, HC2).")


def test_a_planned_adjustment_that_is_not_possible_still_counts_and_says_so_everywhere() -> None:
    found = adjusted_report((3,), is_corrected=True)
    text = "As the plan named it, it still counts among the comparisons that are corrected together"
    adjusted = found.results[-1].rows[0]
    files = [dict(zip(FILE_COLUMNS, row, strict=True)) for row in file_rows(found)]

    assert text not in " ".join(methods(adjusted_report((3,))))
    assert text in interval_words(found, adjusted)
    assert text in methods(found)[-1]
    assert [text in row["reason"] for row in files] == [False] * 5 + [True]
    assert [text in row[7] for row in numbers_book(found)].count(True) == 1


def test_the_same_outcome_has_the_same_decimals_with_and_without_adjustment() -> None:
    _, plain, adjusted = adjusted_report((1, 2, 2, 5), is_corrected=True).rows
    decimals = [Figures.of([row.comparison]).decimals for row in (plain, adjusted)]

    assert decimals[0] < decimals[1]
    assert plain.figures == adjusted.figures


def test_a_missing_relative_difference_has_its_reason_below_the_table() -> None:
    assert list(no_relative_texts(adjusted_report((3,)))) == [
        (
            "No relative difference: the adjusted difference has no level of the control to be "
            "relative to."
        )
    ]
    (text,) = no_relative_texts(adjusted_report((3,), is_corrected=True))
    assert text.startswith(f"No relative difference of “{ADJUSTED.name}”: the adjusted ")


def test_the_terms_of_the_field_stand_in_brackets() -> None:
    (rate, mean, _) = methods(two_arms())

    assert rate.endswith(
        "Test: a test of two shares (score); interval: all differences that this test does not "
        "rule out (Miettinen-Nurminen)."
    )
    assert "drawing the arms anew many times" in mean
    assert [text.split(":")[0] for text in methods(two_arms())] == [each.name for each in METRICS]


def test_a_check_has_the_digits_of_its_outcome_unless_a_limit_would_be_written_as_zero() -> None:
    one_decimal = Figures(PLAIN)
    wide, near = (
        replace(unknown(1, level=0.95, reason=""), low=low, high=2) for low in (0.2, 0.04)
    )

    assert one_decimal.showing(wide) == one_decimal
    assert one_decimal.showing(near).interval(near) == "+0.04 to +2.00"
