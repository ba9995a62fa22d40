"""The protocol that an experiment locks at its start, as canonical JSON with a digest. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common.json_text import canonical_json
from experiments.metrics.definitions import (
    METRICS,
    Metric,
    UnknownMetricError,
    metric_definition,
    read_metric,
)
from experiments.metrics.earlier import FIRST_FORMAT
from experiments.randomize.arms import Arms

LEVEL = 0.95
FORMAT = 2


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
class ExperimentProtocol:
    """The arms in their order, how they are drawn, and the metrics that compare them.

    `metrics` holds whole definitions. So the outcome, the window and the analysis of a metric stay
    as they were at the start, even if a later release defines them differently. Only
    `chosen_metrics` reads them, so learners are still drawn if a metric is unknown.

    `promise` is None in a protocol of an earlier release.
    """

    arms: tuple[ProtocolArm, ...]
    seed: str
    promise: Promise | None = None
    metrics: tuple[Mapping[str, Any], ...] = tuple(map(metric_definition, METRICS))
    level: float = LEVEL
    method: str = "hash"
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

    def chosen_metrics(self) -> list[Metric]:
        """Return the metrics in the protocol's order. Raise ProtocolError for an unknown one."""
        try:
            return [read_metric(definition) for definition in self.metrics]
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
    return canonical_json(content)


def read_protocol(text: str) -> ExperimentProtocol:
    """Return the protocol in the canonical JSON. Raise ProtocolError for one of a later release."""
    found = json.loads(text)
    try:
        return _protocol_of(found)
    except (AttributeError, KeyError, TypeError) as error:
        raise ProtocolError(
            f"This release of Nudgelab cannot read the protocol ({error})."
        ) from error


def _protocol_of(found: dict[str, Any]) -> ExperimentProtocol:
    number = found.setdefault("format", 1)
    if number not in (1, FORMAT):
        raise ProtocolError(
            f"The protocol has format {number}, but this release of Nudgelab knows only 1 and "
            f"{FORMAT}. A later release wrote the protocol."
        )
    arms = tuple(ProtocolArm(**arm) for arm in found.pop("arms"))
    promise = _read_promise(found.pop("promise", None))
    metrics = found.pop("metrics")
    if number == 1:
        metrics = [FIRST_FORMAT.get(key, {"key": key}) for key in metrics]
    return ExperimentProtocol(arms=arms, promise=promise, metrics=tuple(metrics), **found)


def _read_promise(found: dict[str, Any] | None) -> Promise | None:
    if found is None:
        return None
    segments = tuple(ProtocolSegment(**segment) for segment in found.pop("segments"))
    caps = tuple(found.pop("caps", ()))
    return Promise(segments=segments, caps=caps, **found)


def digest(text: str) -> str:
    """Return the sha256 of a protocol's text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
