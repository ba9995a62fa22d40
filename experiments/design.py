"""The design of an experiment: who is drawn, by which method, and until when. Pure.

A protocol locks it at the start. A draw reads nothing else, so a design that is edited later moves
nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Any

BUCKETS = 10_000
# The name of the covariate that is no signal: the course of the enrollment.
COURSE = "course"
MOST_PARTS = 10
MOST_COVARIATES = 4
LARGEST_MULTIPLE = 4
# In smaller batches an arm is often empty, and its learners cannot be compared with anybody.
FEWEST_IN_BATCH = 20
LEAST_FLOOR = 0.05

ENROLLMENT, SECTION = "enrollment", "section"
HASH, BLOCKS, CLUSTER, ADAPTIVE = "hash", "blocks", "cluster", "adaptive"
KEEP, FOLLOW, EXCLUDE = "keep", "follow", "exclude"
ONE_ARM, WINNER = "one_arm", "winner"

UNITS = {ENROLLMENT: "each learner", SECTION: "each section: its learners share an arm"}
METHODS = {
    HASH: "each one by chance",
    BLOCKS: "in balanced blocks",
    CLUSTER: "whole sections, balanced by size",
    ADAPTIVE: "more and more into the arm that does best (adaptive)",
}
SECTION_RULES = {
    KEEP: "they keep their arm",
    FOLLOW: "they get the arm of their new section",
    EXCLUDE: "they get no more messages of the experiment",
}
AFTERWARDS = {
    KEEP: "everybody keeps their arm",
    ONE_ARM: "everybody gets one arm",
    WINNER: "the control gets the winner",
}


@dataclass(frozen=True)
class Covariate:
    """One value by which the strata differ: the course, or a signal, given by its identity.

    With `parts`, a number is cut into about equal parts. The `cuts` between them are fixed at the
    start. Without `parts`, each value is a category of its own.
    """

    name: str
    parts: int = 0
    cuts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.parts != 0 and not 2 <= self.parts <= MOST_PARTS:
            raise ValueError(f"A covariate has from 2 to {MOST_PARTS} parts, not {self.parts}.")
        if len(self.cuts) > max(self.parts - 1, 0):
            raise ValueError(f"{self.parts} parts cannot have {len(self.cuts)} cuts.")
        # This form of the condition also refuses nan.
        if not all(low < high for low, high in pairwise(self.cuts)):
            raise ValueError("The cuts of a covariate must be in ascending order.")


@dataclass(frozen=True)
class LayerRange:
    """The buckets of an exclusion layer that belong to the experiment, without `end`.

    The layer's seed draws the learner's bucket. Experiments of one layer have ranges that do not
    overlap, so each learner is in one of them at most.
    """

    key: str
    seed: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= BUCKETS:
            raise ValueError(
                f"A range of a layer lies between 0 and {BUCKETS} and is not empty, unlike "
                f"{self.start} to {self.end}."
            )

    def __contains__(self, bucket: int) -> bool:
        return self.start <= bucket < self.end


@dataclass(frozen=True)
class Adapting:
    """How the shares of an adaptive draw follow the outcomes.

    Until the outcomes of `burn_in` learners are known, the planned weights draw. Then the shares
    may change after every `batch` learners. No arm's share falls below `floor`.
    """

    burn_in: int = 60
    batch: int = 40
    floor: float = 0.1

    def __post_init__(self) -> None:
        if self.burn_in < FEWEST_IN_BATCH or self.batch < FEWEST_IN_BATCH:
            raise ValueError(
                f"An adaptive draw needs at least {FEWEST_IN_BATCH} learners before the first "
                "change of the shares, and as many between changes."
            )
        if not LEAST_FLOOR <= self.floor < 1:
            raise ValueError(
                f"The smallest share of an arm is at least {LEAST_FLOOR:g}: with fewer learners "
                "in an arm, nothing could be said about it."
            )

    def may_change(self, position: int) -> bool:
        """Return whether the shares may change before the draw with this number, from 0."""
        return position >= self.burn_in and (position - self.burn_in) % self.batch == 0


@dataclass(frozen=True)
class Design:
    """All that decides a draw besides the arms and the seed, and what follows the end.

    `block_multiples` are the sizes of a block, in multiples of the smallest one for the weights: a
    block takes one of them by chance. `section_rule` holds for learners who change their section or
    sit in two. `ends_at` is an instant in ISO format. A limit of None does not end the experiment.
    `afterwards_arm` is the key of the arm for everybody. Only an adaptive draw has `adapting`.
    """

    unit: str = ENROLLMENT
    method: str = HASH
    strata: tuple[Covariate, ...] = ()
    block_multiples: tuple[int, ...] = (1, 2)
    layer: LayerRange | None = None
    section_rule: str = KEEP
    excludes_reached: bool = False
    ends_at: str | None = None
    most_learners: int | None = None
    most_sections: int | None = None
    afterwards: str = KEEP
    afterwards_arm: str = ""
    adapting: Adapting | None = None

    def __post_init__(self) -> None:
        problems = [sentence for fault, sentence in self._faults() if fault]
        if problems:
            raise ValueError(" ".join(problems))

    @property
    def end(self) -> datetime | None:
        """Return the instant from which nobody is drawn."""
        return None if self.ends_at is None else datetime.fromisoformat(self.ends_at)

    @property
    def is_limited(self) -> bool:
        """Return whether a number of learners or sections ends the experiment."""
        return self.most_learners is not None or self.most_sections is not None

    def _faults(self) -> list[tuple[bool, str]]:
        names = [covariate.name for covariate in self.strata]
        return [
            *self._unknown_words(),
            (
                (self.unit == SECTION) != (self.method == CLUSTER),
                "Whole sections are drawn only balanced by size, and single learners never are.",
            ),
            (
                bool(self.strata) and self.method != BLOCKS,
                "Only draws in balanced blocks have strata.",
            ),
            (
                (self.method == ADAPTIVE) != (self.adapting is not None),
                "An adaptive draw says how the shares change, and no other draw does.",
            ),
            (
                len(names) > MOST_COVARIATES or len(names) != len(set(names)),
                f"The strata are made of at most {MOST_COVARIATES} different covariates.",
            ),
            (
                not self.block_multiples
                or not all(1 <= each <= LARGEST_MULTIPLE for each in self.block_multiples),
                f"A block is from 1 to {LARGEST_MULTIPLE} times the smallest one.",
            ),
            (
                self.most_sections is not None and self.unit != SECTION,
                "A number of sections ends only an experiment that draws sections.",
            ),
            (
                any(limit is not None and limit < 1 for limit in self._limits()),
                "A number that ends the experiment is at least 1.",
            ),
            (_is_no_instant(self.ends_at), "The end must be an instant with an offset."),
            (
                (self.afterwards == ONE_ARM) != bool(self.afterwards_arm),
                "Name the arm that everybody gets after the end, and only then.",
            ),
        ]

    def _unknown_words(self) -> list[tuple[bool, str]]:
        chosen = {
            "unit": (self.unit, UNITS),
            "method": (self.method, METHODS),
            "rule for sections": (self.section_rule, SECTION_RULES),
            "rule for the time after the end": (self.afterwards, AFTERWARDS),
        }
        return [
            (word not in known, f"The {what} {word!r} is unknown. It is one of {', '.join(known)}.")
            for what, (word, known) in chosen.items()
        ]

    def _limits(self) -> tuple[int | None, int | None]:
        return self.most_learners, self.most_sections


def read_design(found: Mapping[str, Any]) -> Design:
    """Return the design from its `asdict`, as JSON has it. Raise ValueError for unknown content."""
    values = dict(found)
    try:
        unknown = sorted(values.keys() - {field.name for field in fields(Design)})
        if unknown:
            raise ValueError(f"This release of Nudgelab does not know {', '.join(unknown)}.")
        strata = tuple(map(_read_covariate, values.pop("strata", ())))
        multiples = tuple(values.pop("block_multiples", Design.block_multiples))
        layer, adapting = values.pop("layer", None), values.pop("adapting", None)
        return Design(
            strata=strata,
            block_multiples=multiples,
            layer=None if layer is None else LayerRange(**layer),
            adapting=None if adapting is None else Adapting(**adapting),
            **values,
        )
    except (AttributeError, TypeError) as error:
        raise ValueError(f"This release of Nudgelab cannot read it ({error}).") from error


def _read_covariate(found: Mapping[str, Any]) -> Covariate:
    return Covariate(**{**found, "cuts": tuple(found.get("cuts", ()))})


def _is_no_instant(text: str | None) -> bool:
    if text is None:
        return False
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return True
