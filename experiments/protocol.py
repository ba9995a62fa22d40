"""The protocol that an experiment locks at its start, as canonical JSON with a digest. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from common.json_text import canonical_json
from experiments.design import SECTION, Design, read_design
from experiments.metrics.definitions import (
    GUARDRAILS,
    METRICS,
    Metric,
    UnknownMetricError,
    metric_definition,
    read_metric,
)
from experiments.metrics.earlier import FIRST_FORMAT
from experiments.randomize.arms import Arms
from experiments.randomize.blocks import Blocks
from experiments.rules import RULES, unknown_rules

LEVEL = 0.95
FORMAT = 4
# How the p-values of several comparisons are corrected.
HOLM, UNCORRECTED = "Holm", "none"
# The learners whom an experiment expects if nothing is known: a few classes.
USUAL_LEARNERS = 200


class ProtocolError(ValueError):
    """The experiment cannot start or have a report. The message is a sentence for its admin."""


@dataclass(frozen=True)
class ProtocolArm:
    """An arm as it was at the start."""

    key: str
    weight: float
    is_control: bool
    name: str = ""


@dataclass(frozen=True)
class ProtocolSegment:
    """A segment of the population, with the version of its rule at the start."""

    key: str
    version: int


@dataclass(frozen=True)
class Promise:
    """The population and the reason for the experiment, in the words that the report prints."""

    name: str = ""
    hypothesis: str = ""
    population: str = ""
    segments: tuple[ProtocolSegment, ...] = ()
    coverage: float = 1.0
    differs_outside: bool = False
    # The frequency caps that limit only one arm, as sentences.
    caps: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProtocolGuardrail:
    """An outcome that must not become worse, and the largest harm that is accepted.

    The margin is in the outcome's unit: 0.02 is two points of a share.
    """

    metric: Mapping[str, Any]
    margin: float


_GUARDRAILS = tuple(
    ProtocolGuardrail(metric_definition(metric), margin) for metric, margin in GUARDRAILS
)


@dataclass(frozen=True)
class Analysis:
    """How the outcomes are judged.

    `correction` is for the p-values of several comparisons. `looks` are the instants in ISO format
    at which a decision may be taken, the last of them at the end; without looks there is no
    promise about when one may stop. `expected_learners` is the planned number in all arms: it says
    how much each look may use up, and where the interval for any other time is narrowest. Both are
    valid if another number comes. `smallest_lift` is the smallest difference of the primary outcome
    that would matter, in its unit. Above `cap_percentile` of all arms, counts are cut in a second
    reading of their means. `subgroups` are the traits by which the report is split.
    """

    correction: str = HOLM
    looks: tuple[str, ...] = ()
    expected_learners: int = USUAL_LEARNERS
    smallest_lift: float | None = None
    subgroups: tuple[str, ...] = ()
    cap_percentile: float = 99.0

    def __post_init__(self) -> None:
        if self.correction not in (HOLM, UNCORRECTED):
            raise ProtocolError(f"The correction “{self.correction}” is not known.")
        if self.expected_learners < 1:
            raise ProtocolError("The expected number of learners must be at least 1.")
        if self.smallest_lift is not None and not self.smallest_lift > 0:
            raise ProtocolError("The smallest difference that matters must be above 0.")
        if not 50 <= self.cap_percentile < 100:
            raise ProtocolError("Counts are cut at a percentile from 50 to below 100.")
        days = [_instant(look).date() for look in self.looks]
        if not all(before < after for before, after in pairwise(days)):
            raise ProtocolError("The planned looks must be on different days, in their order.")


def _instant(text: str) -> datetime:
    """Return the instant of a look. Raise ProtocolError for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProtocolError(f"The look “{text}” is no instant.") from error
    if found.tzinfo is None:
        raise ProtocolError(f"The look “{text}” must be an instant with an offset.")
    return found


_USUAL_ANALYSIS, _USUAL_DESIGN = Analysis(), Design()
# Protocols of the formats 1 and 2 knew none of it, and those before format 4 no rules.
_WITH_ANALYSIS = 3
_EARLIER = Analysis(correction=UNCORRECTED)


@dataclass(frozen=True)
class ExperimentProtocol:
    """The arms in their order, how they are drawn, and the metrics that compare them.

    `metrics` holds whole definitions, the primary outcome first. So the outcome, the window and the
    analysis of a metric stay as they were at the start, even if a later release defines them
    differently. Only `chosen_metrics` and `chosen_guardrails` read them, so learners are still
    drawn if a metric is unknown.

    `promise` is None in a protocol of an earlier release. `rules` say when a comparison is
    withheld. They are empty before format 4.
    """

    arms: tuple[ProtocolArm, ...]
    seed: str
    promise: Promise | None = None
    metrics: tuple[Mapping[str, Any], ...] = tuple(map(metric_definition, METRICS))
    guardrails: tuple[ProtocolGuardrail, ...] = _GUARDRAILS
    analysis: Analysis = _USUAL_ANALYSIS
    design: Design = _USUAL_DESIGN
    rules: Mapping[str, Any] = field(default_factory=lambda: dict(RULES))
    level: float = LEVEL
    format: int = FORMAT

    def __post_init__(self) -> None:
        problems = protocol_problems(self.arms, seed=self.seed)
        if not self.metrics:
            problems.append("An experiment needs a metric.")
        if problems:
            raise ProtocolError(" ".join(problems))

    @property
    def control(self) -> str:
        """Return the control's key."""
        return next(arm.key for arm in self.arms if arm.is_control)

    def draw(self, *, coverage: float) -> Arms:
        """Return the arms' ranges, in which the share `coverage` of all units takes part."""
        return Arms.of({arm.key: arm.weight for arm in self.arms}, coverage=coverage)

    def blocks(self) -> Blocks:
        """Return the blocks of its draw. Raise ValueError if none fit the weights."""
        weights = {arm.key: arm.weight for arm in self.arms}
        return Blocks.of(weights, seed=self.seed, multiples=self.design.block_multiples)

    def arms_by(self, shares: Mapping[str, float]) -> Arms:
        """Return the arms' ranges by these shares, in the order of the arms.

        JSON in a database keeps no order of keys, and the order decides the ranges.
        """
        return Arms.of({arm.key: shares[arm.key] for arm in self.arms if arm.key in shares})

    def chosen_metrics(self) -> list[Metric]:
        """Return the metrics in the protocol's order. Raise ProtocolError for an unknown one.

        Also raise it for a rule that this release would not apply as it was locked.
        """
        unknown = unknown_rules(self.rules, of_sections=self.design.unit == SECTION)
        if unknown:
            raise ProtocolError(
                "The protocol cannot be read: this release of Nudgelab judges by other rules than "
                f"were locked ({', '.join(unknown)})."
            )
        return [_read(definition) for definition in self.metrics]

    def chosen_guardrails(self) -> list[tuple[Metric, float]]:
        """Return the guardrails and their margins. Raise ProtocolError for an unknown one."""
        return [(_read(guardrail.metric), guardrail.margin) for guardrail in self.guardrails]


def _read(definition: Mapping[str, Any]) -> Metric:
    try:
        return read_metric(definition)
    except UnknownMetricError as error:
        raise ProtocolError(f"The protocol cannot be read: {error}") from error


def protocol_problems(arms: Sequence[ProtocolArm], *, seed: str) -> list[str]:
    """Return the reasons why these arms cannot be drawn and compared, one sentence per reason."""
    if not arms:
        return ["An experiment needs a control arm and one other arm. It has no arm yet."]
    drawn = [arm for arm in arms if arm.weight > 0]
    found = []
    if [arm.is_control for arm in drawn].count(True) != 1:
        found.append("An experiment needs exactly one control arm with a weight above 0.")
    if len(drawn) < 2:
        found.append("An experiment needs another arm besides the control.")
    if not seed:
        found.append("An experiment needs a seed.")
    return found + _weight_problems(arms)


def _weight_problems(arms: Sequence[ProtocolArm]) -> list[str]:
    try:
        Arms.of({arm.key: arm.weight for arm in arms})
    except ValueError as error:
        return [str(error)]
    return []


def protocol_text(protocol: ExperimentProtocol) -> str:
    """Return the protocol as canonical JSON, so that equal protocols have equal texts.

    Raise ProtocolError for a protocol of an earlier format: its locked text must not change.
    """
    if protocol.format != FORMAT:
        raise ProtocolError(
            f"A protocol of format {protocol.format} can be read but not written again."
        )
    content = asdict(protocol)
    if protocol.promise is not None and not protocol.promise.caps:
        # Without caps of arms, the text stays as in releases that did not know them.
        del content["promise"]["caps"]
    if protocol.design.adapting is None:
        # The same for draws that do not adapt.
        del content["design"]["adapting"]
    return canonical_json(content)


def read_protocol(text: str) -> ExperimentProtocol:
    """Return the protocol in the canonical JSON. Raise ProtocolError for one of a later release."""
    found = json.loads(text)
    try:
        return _protocol_of(found)
    except ProtocolError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProtocolError(
            f"This release of Nudgelab cannot read the protocol ({error})."
        ) from error


def _protocol_of(found: dict[str, Any]) -> ExperimentProtocol:
    number = found.setdefault("format", 1)
    if number not in range(1, FORMAT + 1):
        raise ProtocolError(
            f"The protocol has format {number}, but this release of Nudgelab knows only 1 to "
            f"{FORMAT}. A later release wrote the protocol."
        )
    arms = tuple(ProtocolArm(**arm) for arm in found.pop("arms"))
    promise = _read_promise(found.pop("promise", None))
    metrics = found.pop("metrics")
    if number == 1:
        metrics = [FIRST_FORMAT.get(key, {"key": key}) for key in metrics]
    parts = _earlier_parts(found) if number < _WITH_ANALYSIS else _newer_parts(found)
    if number < FORMAT:
        parts["rules"] = {}
    return ExperimentProtocol(arms=arms, promise=promise, metrics=tuple(metrics), **parts, **found)


def _earlier_parts(found: dict[str, Any]) -> dict[str, Any]:
    # They named the method beside the level, and there was only one.
    del found["method"]
    return {"guardrails": (), "analysis": _EARLIER, "design": _USUAL_DESIGN}


def _newer_parts(found: dict[str, Any]) -> dict[str, Any]:
    analysis = dict(found.pop("analysis"))
    for name in ("looks", "subgroups"):
        analysis[name] = tuple(analysis[name])
    return {
        "guardrails": tuple(ProtocolGuardrail(**each) for each in found.pop("guardrails")),
        "analysis": Analysis(**analysis),
        "design": read_design(found.pop("design")),
    }


def _read_promise(found: dict[str, Any] | None) -> Promise | None:
    if found is None:
        return None
    segments = tuple(ProtocolSegment(**segment) for segment in found.pop("segments"))
    caps = tuple(found.pop("caps", ()))
    return Promise(segments=segments, caps=caps, **found)


def digest(text: str) -> str:
    """Return the sha256 of a protocol's text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
