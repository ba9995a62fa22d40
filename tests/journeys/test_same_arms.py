"""Arms whose messages do nothing look different as rarely as they may, through all stages.

A few experiments always; with NUDGELAB_SAME_ARMS=134 all of them, whose table goes into the page.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scipy import stats

from activity.models import Event
from experiments.models import Assignment, DeliveryOutcome
from experiments.reporting.report import Report
from tests.journeys.same_arms import MEAN, METHODS, RATE, SEED, Size, run
from tests.long import longer

pytestmark = pytest.mark.django_db

COURSES = int(os.environ.get("NUDGELAB_SAME_ARMS", "0"))
OWN_SEED = int(os.environ.get("NUDGELAB_SAME_ARMS_SEED", SEED))
OUTCOMES = {RATE: "a rate", MEAN: "a mean"}
BEGIN, END = "<!-- same arms: begin -->", "<!-- same arms: end -->"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
LEVEL = 0.05


@dataclass
class Share:
    """In how many of the experiments a difference was found that is not there."""

    found: int = 0
    experiments: int = 0

    @property
    def limits(self) -> tuple[float, float]:
        """Return the exact 99 % limits of the share (Clopper and Pearson, 1934)."""
        limits = stats.binomtest(self.found, self.experiments).proportion_ci(0.99, method="exact")
        return float(limits.low), float(limits.high)

    @property
    def is_met(self) -> bool:
        """Return whether the share is the level or less, within binomial error."""
        return self.limits[0] <= LEVEL


def shares(reports: Iterable[tuple[str, Report]]) -> dict[str, Share]:
    """Return the shares by method and outcome, and of all experiments."""
    rows = [f"{method}, {name}" for method in METHODS for name in OUTCOMES.values()]
    found = {name: Share() for name in [*rows, *(f"all, {name}" for name in OUTCOMES.values())]}
    for method, each in reports:
        assert not each.is_mismatch, each.facts.key
        for row in each.rows:
            for name in (method, "all"):
                share = found[f"{name}, {OUTCOMES[row.key]}"]
                share.found += row.p_value < LEVEL
                share.experiments += 1
    return found


def table(found: dict[str, Share]) -> Iterator[str]:
    yield "| experiments without an effect | number | a difference found in | exact 99 % limits | |"
    yield "| --- | --- | --- | --- | --- |"
    for name, each in found.items():
        low, high = each.limits
        rate, verdict = each.found / each.experiments, "met" if each.is_met else "MISSED"
        yield f"| {name} | {each.experiments} | {rate:.3f} | {low:.3f} to {high:.3f} | {verdict} |"


def everybody_was_treated_as_drawn() -> None:
    fates = DeliveryOutcome.objects.values_list("assignment__arm__key", "outcome")
    assert set(fates) == {("nudge", "handed_off"), ("control", "ghost")}
    drawn = Assignment.objects.count()
    learners = Assignment.objects.values("enrollment__learner").distinct().count()
    assert fates.count() == drawn == learners


@pytest.mark.parametrize(
    "courses",
    [4, *longer("test_equal_arms_look_different_rarely_and_a_biased_feed_is_found", 8)],
)
def test_equal_arms_look_different_rarely_and_a_biased_feed_is_found(courses: int) -> None:
    world = run(Size(courses=courses, sections=6, learners=72))
    everybody_was_treated_as_drawn()
    assert len(world.enrollments) == Assignment.objects.count()

    fair = shares(world.reports())
    # The feed loses what controls did. An experiment must not hide that.
    lost = Event.objects.filter(enrollment__assignments__arm__is_control=True)
    lost.filter(verb="ATTEMPT_QUIZ").delete()
    biased = shares(world.reports())

    assert [name for name, each in fair.items() if not each.is_met] == []
    assert fair["all, a rate"].experiments == 3 * courses
    # Of means nothing is said where every control has 0.
    assert not biased["all, a rate"].is_met


def test_page_shows_that_every_share_is_met() -> None:
    rows = re.findall(
        r"^\| ([^|]+), (a rate|a mean) \| (\d+) .* \| (\w+) \|$", printed(), re.MULTILINE
    )

    assert [(method, name) for method, name, *_ in rows] == [
        (method, name) for method in (*METHODS, "all") for name in OUTCOMES.values()
    ]
    assert {verdict for *_, verdict in rows} == {"met"}


def printed() -> str:
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


# Many minutes, so only `make certificates` runs it.
if COURSES:

    def test_all_experiments_keep_the_level() -> None:
        world = run(Size(courses=COURSES, sections=10, learners=90), seed=OWN_SEED)
        everybody_was_treated_as_drawn()

        found = shares(world.reports())

        before, after = (PAGE.read_text().partition(mark) for mark in (BEGIN, END))
        lines = "\n".join([BEGIN, "", *table(found), "", END])
        PAGE.write_text(f"{before[0]}{lines}{after[2]}")
        assert [name for name, each in found.items() if not each.is_met] == []
