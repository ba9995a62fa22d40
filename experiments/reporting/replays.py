"""Draw learners of the past again, as if an experiment had run among them. Pure.

Without an effect, the replays show how often the analysis finds a difference that is not there.
With an injected effect, they show how often it finds one that is. Each replay draws with a seed of
its own, which follows from the experiment's, by the code that draws learners.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from math import isnan, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.design import ADAPTIVE, BLOCKS, CLUSTER, HASH, Design
from experiments.metrics.definitions import HIGHER, Metric
from experiments.metrics.outcomes import Adjusted, Happened, Total
from experiments.randomize.arms import Arms
from experiments.randomize.blocks import Blocks, Place, draw_present
from experiments.randomize.hash import BUCKETS, bucket_of_many
from experiments.randomize.thompson import arm_seed
from experiments.stats.multiplicity import holm
from experiments.stats.sections import Section, section_difference
from experiments.stats.sufficient import Moments

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

REPLAYS = 200
# The share of false positives among fewer learners says nothing about an experiment.
FEWEST = 20
TOO_FEW = f"fewer than {FEWEST} learners of the past can be drawn"
_ONLY_EVENTS = "an effect can be added only to outcomes that count events, and more is better"
_ALMOST_ALL = "so many learners do it already that there is no room for the effect"
_NOT_SINGLE = "sections are compared only by outcomes that are one number per learner"
_ADAPTS = "its shares follow outcomes in the order in which they come, which the past does not tell"
_UNDRAWN = -1


@dataclass(frozen=True)
class Past:
    """Learners of the past in the order in which they would have been drawn.

    `rows` are the columns of the metric, `sections` the names by which sections are drawn, empty
    for learners without one.
    """

    keys: tuple[str, ...]
    strata: tuple[str, ...]
    sections: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @property
    def size(self) -> int:
        """Return the number of learners."""
        return len(self.keys)

    def level(self, metric: Metric) -> float:
        """Return the rate or the mean of all learners; nan without one."""
        return metric.family.level(metric.observe(Counter(self.rows)).sums)


@dataclass(frozen=True)
class DrawPlan:
    """The arms and the design by which the past is drawn, and how it is analyzed.

    `treated` is the arm that gets the injected effect.
    """

    weights: Mapping[str, float]
    control: str
    treated: str
    seed: str
    design: Design = field(default_factory=Design)
    coverage: float = 1.0
    level: float = 0.95

    @classmethod
    def of(
        cls, weights: Mapping[str, float], *, control: str, seed: str, **more: Any
    ) -> "DrawPlan":
        """Return the plan in which the smallest other arm, the first of several, is treated."""
        drawn = {key: weight for key, weight in weights.items() if weight > 0}
        treated = min((key for key in drawn if key != control), key=drawn.__getitem__)
        return cls(drawn, control, treated, seed, **more)

    def replay_seed(self, number: int) -> str:
        """Return the seed of a replay. No replay has the seed of the experiment itself."""
        return f"{self.seed} replay {number}"


@dataclass(frozen=True)
class Share:
    """The number of replays in which a difference was found."""

    found: int
    of: int

    @property
    def rate(self) -> float:
        """Return the share (0..1) of replays; nan without one."""
        return self.found / self.of if self.of else nan

    @property
    def error(self) -> float:
        """Return the standard error of the share, which comes from the number of replays."""
        return sqrt(self.rate * (1 - self.rate) / self.of) if self.of else nan


@dataclass(frozen=True)
class Replays:
    """What the replays found.

    `metric` is the outcome, `confidence` the level of the analysis, and `level` the outcome of all
    these learners, a rate or a mean. `p_values` are those of the treated arm without an effect, nan
    where nothing could be compared. `with_effect` is None, with a `reason`, if the effect cannot be
    added. Without any replay there is a `reason` too. `sections` is how many were drawn, if whole
    ones are.
    """

    metric: Metric
    confidence: float
    learners: int
    level: float
    lift: float
    without_effect: Share
    with_effect: Share | None
    p_values: tuple[float, ...] = ()
    reason: str = ""
    sections: int = 0


def replay(
    past: Past, plan: DrawPlan, *, metric: Metric, lift: float, times: int = REPLAYS
) -> Replays:
    """Draw and analyze the past `times` times, each time without and with the effect.

    `lift` is added to the rate or the mean of the treated arm. A rate rises because each learner of
    the arm who did not do it does it with the same chance. A number rises by a Poisson number with
    the lift as its mean.
    """
    level = past.level(metric)
    known = (metric, plan.level, past.size, level, lift)
    reason = _refusal(past, plan, metric)
    if reason:
        return Replays(*known, Share(0, 0), None, reason=reason)
    drawer, analysis = DRAWS[plan.design.method](past, plan), _analysis(past, plan, metric)
    effect, why_not = _effect(metric, level, lift)
    p_values, false, found = [], 0, 0
    for number in range(times):
        seed = plan.replay_seed(number)
        arms = drawer(seed)
        own = analysis.p_values(arms)
        p_values.append(own.get(plan.treated, (nan, False))[0])
        false += any(p_value < 1 - plan.level for p_value, _ in _corrected(own).values())
        if effect is not None:
            extra = effect(analysis.first, _generator(seed)) * (arms == analysis.treated)
            p_value, is_rise = _corrected(analysis.p_values(arms, extra)).get(
                plan.treated, (nan, False)
            )
            found += p_value < 1 - plan.level and is_rise
    with_effect = None if effect is None else Share(found, times)
    is_whole = plan.design.method == CLUSTER
    sections = len({each for each in past.sections if each}) if is_whole else 0
    without = Share(false, times)
    return Replays(*known, without, with_effect, tuple(p_values), why_not, sections)


def draw_once(past: Past, plan: DrawPlan, *, seed: str) -> list[str | None]:
    """Return the arm of each learner in one draw with the seed; None for those not drawn."""
    names = [*plan.weights, None]
    return [names[arm] for arm in DRAWS[plan.design.method](past, plan)(seed).tolist()]


# The p-value of each other arm against the control, and whether the arm's level is higher.
_Found = dict[str, tuple[float, bool]]
_Draw = Callable[[str], Ints]


def _hash_draw(past: Past, plan: DrawPlan) -> _Draw:
    ranges = Arms.of(plan.weights, coverage=plan.coverage)
    places: dict[str | None, int] = {arm: place for place, arm in enumerate(plan.weights)}
    places[None] = _UNDRAWN
    owners = np.array([places[ranges.arm_at(bucket)] for bucket in range(BUCKETS)])

    def draw(seed: str) -> Ints:
        found: Ints = owners[bucket_of_many(past.keys, seed=seed)]
        return found

    return draw


def _block_draw(past: Past, plan: DrawPlan) -> _Draw:
    names, strata = np.unique(np.array(past.strata), return_inverse=True)
    places = {arm: place for place, arm in enumerate(plan.weights)}

    def draw(seed: str) -> Ints:
        blocks = Blocks.of(plan.weights, seed=seed, multiples=plan.design.block_multiples)
        covered = _covered(past.keys, plan, seed)
        drawn = np.full(past.size, _UNDRAWN)
        for number, name in enumerate(names.tolist()):
            members = np.flatnonzero((strata == number) & covered)
            arms = islice(blocks.arms_from(name, Place()), members.size)
            drawn[members] = [places[arm] for arm, _ in arms]
        return drawn

    return draw


def _section_draw(past: Past, plan: DrawPlan) -> _Draw:
    sizes = Counter(section for section in past.sections if section)
    names = list(sizes)
    places = {arm: place for place, arm in enumerate(plan.weights)}

    def draw(seed: str) -> Ints:
        blocks = Blocks.of(plan.weights, seed=seed)
        covered = _covered(names, plan, seed)
        taking_part = {
            name: sizes[name] for name, is_in in zip(names, covered, strict=True) if is_in
        }
        drawn = {name: places[arm] for name, arm in draw_present(taking_part, blocks)}
        return np.array([drawn.get(section, _UNDRAWN) for section in past.sections])

    return draw


def _adaptive_draw(past: Past, plan: DrawPlan) -> _Draw:
    """Draw by the planned weights: at the start, no outcome is known."""
    ranges = Arms.of(plan.weights)
    places = {arm: place for place, arm in enumerate(plan.weights)}
    owners = np.array([places[ranges.arm_at(bucket) or ""] for bucket in range(BUCKETS)])

    def draw(seed: str) -> Ints:
        arms = owners[bucket_of_many(past.keys, seed=arm_seed(seed))]
        found: Ints = np.where(_covered(past.keys, plan, seed), arms, _UNDRAWN)
        return found

    return draw


DRAWS: dict[str, Callable[[Past, DrawPlan], _Draw]] = {
    HASH: _hash_draw,
    BLOCKS: _block_draw,
    CLUSTER: _section_draw,
    ADAPTIVE: _adaptive_draw,
}


def _covered(keys: Any, plan: DrawPlan, seed: str) -> NDArray[np.bool_]:
    if plan.coverage >= 1:
        return np.ones(len(keys), dtype=bool)
    covered: NDArray[np.bool_] = bucket_of_many(keys, seed=seed) < plan.coverage * BUCKETS
    return covered


@dataclass(frozen=True)
class _Single:
    """The analysis of single learners by the metric's family."""

    past: Past
    plan: DrawPlan
    metric: Metric

    @cached_property
    def _distinct(self) -> tuple[list[tuple[Any, ...]], Ints]:
        places: dict[tuple[Any, ...], int] = {}
        at = [places.setdefault(row, len(places)) for row in self.past.rows]
        return list(places), np.array(at, dtype=np.int64)

    @cached_property
    def first(self) -> Floats:
        """Return the first column of each learner, to which an effect is added."""
        return np.array([float(row[0] or 0) for row in self.past.rows])

    @cached_property
    def treated(self) -> int:
        """Return the place of the treated arm."""
        return list(self.plan.weights).index(self.plan.treated)

    def p_values(self, arms: Ints, extra: Ints | None = None) -> _Found:
        """Return the comparison of each other arm, with `extra` added to the first column."""
        family = self.metric.family
        sums = {
            arm: self.metric.observe(self._frequencies(arms == place, extra)).sums
            for place, arm in enumerate(self.plan.weights)
        }
        control = sums[self.plan.control]
        return {
            arm: (
                family.p_value(control, found, self.plan.level),
                family.level(found) > family.level(control),
            )
            for arm, found in sums.items()
            if arm != self.plan.control
        }

    def _frequencies(
        self, chosen: NDArray[np.bool_], extra: Ints | None
    ) -> Mapping[tuple[Any, ...], int]:
        rows, at = self._distinct
        if extra is None:
            counts = np.bincount(at[chosen], minlength=len(rows)).tolist()
            return {row: times for row, times in zip(rows, counts, strict=True) if times}
        # One number for each pair of a row and what is added to it.
        width = int(extra.max(initial=0)) + 1
        pairs, counts = np.unique(at[chosen] * width + extra[chosen], return_counts=True)
        found: Counter[tuple[Any, ...]] = Counter()
        for pair, times in zip(pairs.tolist(), counts.tolist(), strict=True):
            row = rows[pair // width]
            found[(int(row[0] or 0) + pair % width, *row[1:])] += times
        return found


class _Sections(_Single):
    """The analysis of whole sections, as learners of one section are alike."""

    @cached_property
    def _members(self) -> list[Ints]:
        names = np.array(self.past.sections)
        return [np.flatnonzero(names == name) for name in np.unique(names) if name]

    def p_values(self, arms: Ints, extra: Ints | None = None) -> _Found:
        """Return the comparison of each other arm, with `extra` added to the first column."""
        value, added = self.metric.outcome.value, 0 if extra is None else extra  # type: ignore[attr-defined]
        outcomes = np.array(
            [value(number) for number in (self.first + added).tolist()], dtype=float
        )
        moments = [(arms[of[0]], Moments.from_array(outcomes[of])) for of in self._members]
        places = {arm: place for place, arm in enumerate(self.plan.weights)}
        control = places.pop(self.plan.control)
        found = {}
        for arm, place in places.items():
            pair = [Section(of, bool(at == place)) for at, of in moments if at in (control, place)]
            difference = section_difference(pair, level=self.plan.level).difference
            found[arm] = (difference.p_value, difference.value > 0)
        return found


def _analysis(past: Past, plan: DrawPlan, metric: Metric) -> _Single:
    kind = _Sections if plan.design.method == CLUSTER else _Single
    return kind(past, plan, metric)


def _corrected(found: _Found) -> _Found:
    """Return the p-values corrected by Holm's method for the number of arms, as reports do."""
    corrected = holm([p_value for p_value, _ in found.values()])
    return {
        arm: (p_value, is_rise)
        for (arm, (_, is_rise)), p_value in zip(found.items(), corrected, strict=True)
    }


def _refusal(past: Past, plan: DrawPlan, metric: Metric) -> str:
    if past.size < FEWEST:
        return TOO_FEW
    if plan.design.method == ADAPTIVE:
        return _ADAPTS
    is_single = hasattr(metric.outcome, "value")
    return _NOT_SINGLE if plan.design.method == CLUSTER and not is_single else ""


_Effect = Callable[[Floats, np.random.Generator], Ints]


def _effect(metric: Metric, level: float, lift: float) -> tuple[_Effect | None, str]:
    """Return what adds the lift to the first column, or None and why it cannot be added."""
    outcome = metric.outcome
    counts = outcome.of if isinstance(outcome, Adjusted) else outcome
    if metric.better != HIGHER or not isinstance(counts, (Happened, Total)):
        return None, _ONLY_EVENTS
    if isinstance(counts, Total):
        return lambda first, random: random.poisson(lift, first.size), ""
    if isnan(level) or level + lift > 1 or level == 1:
        return None, _ALMOST_ALL
    chance = lift / (1 - level)

    def rise(first: Floats, random: np.random.Generator) -> Ints:
        found: Ints = ((first == 0) & (random.random(first.size) < chance)).astype(np.int64)
        return found

    return rise, ""


def _generator(seed: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()))
