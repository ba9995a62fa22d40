"""The outcomes that the rows of an experiment hold, in the order of their columns. Pure."""

from dataclasses import dataclass

from experiments.metrics.definitions import Metric
from experiments.protocol import USUAL_LEARNERS, ExperimentProtocol
from experiments.reporting.reach import reach_metric
from experiments.reporting.staying import staying_metric


@dataclass(frozen=True)
class Plan:
    """The outcomes of a protocol, the primary one first, its guardrails, and what a report adds.

    `left` and `reached` are those of the report's checks, which protocols without guardrails do not
    have. Then no outcome is counted from the first message on either.
    """

    metrics: tuple[Metric, ...]
    guardrails: tuple[Metric, ...] = ()
    left: Metric | None = None
    reached: Metric | None = None
    # The number of learners in the plan, for the interval that holds at any time.
    expected_learners: int = USUAL_LEARNERS
    # Whether the shares of the arms followed the outcomes.
    is_adaptive: bool = False

    @classmethod
    def of(cls, protocol: ExperimentProtocol) -> "Plan":
        """Return the plan of the protocol. Raise ProtocolError if this release cannot read it."""
        metrics = tuple(protocol.chosen_metrics())
        guardrails = tuple(metric for metric, _ in protocol.chosen_guardrails())
        expected = protocol.analysis.expected_learners
        if protocol.design.adapting is not None:
            # Who left, and whom messages reached, is said of whole arms.
            return cls(metrics, guardrails, expected_learners=expected, is_adaptive=True)
        if not guardrails:
            return cls(metrics)
        beside = staying_metric(metrics[0]), reach_metric(metrics[0])
        return cls(metrics, guardrails, *beside, expected)

    @property
    def primary(self) -> Metric:
        """Return the primary outcome."""
        return self.metrics[0]

    @property
    def outcomes(self) -> tuple[Metric, ...]:
        """Return the outcomes and the guardrails."""
        return (*self.metrics, *self.guardrails)

    @property
    def read(self) -> tuple[Metric, ...]:
        """Return all that a query reads of each assignment."""
        return (*self.outcomes, *filter(None, (self.left, self.reached)))

    @property
    def is_anchored(self) -> bool:
        """Return whether the primary outcome is read from the first message or ghost on too."""
        return bool(self.guardrails) and not self.is_adaptive
