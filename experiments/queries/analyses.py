"""The analysis of a draft, as a protocol made now would lock it, and what is wrong with it."""

from dataclasses import replace

from activity.access import COMMAND_LINE
from experiments.analyses import chosen_outcomes, read_guardrails, read_looks, read_subgroups
from experiments.metrics.definitions import metric_definition
from experiments.models import Experiment
from experiments.protocol import USUAL_LEARNERS, Analysis, ExperimentProtocol, ProtocolError
from experiments.queries.protocols import courses_of
from experiments.reporting.facts import shared_zone


def planned_protocol(experiment: Experiment, protocol: ExperimentProtocol) -> ExperimentProtocol:
    """Return the protocol with the outcomes, guardrails and looks of the draft. One query.

    Raise ProtocolError with a sentence for fields that cannot be read.
    """
    zone = shared_zone(c.time_zone for c in courses_of(experiment, viewer=COMMAND_LINE))
    try:
        outcomes = chosen_outcomes(experiment.primary_outcome, experiment.other_outcomes)
        guardrails = read_guardrails(experiment.guardrails)
        analysis = Analysis(
            looks=read_looks(experiment.looks, zone=zone),
            expected_learners=experiment.expected_learners or USUAL_LEARNERS,
            smallest_lift=float(experiment.smallest_lift) if experiment.smallest_lift else None,
            subgroups=read_subgroups(experiment.subgroups),
        )
    except ValueError as error:
        raise ProtocolError(str(error)) from error
    metrics = tuple(map(metric_definition, outcomes))
    return replace(protocol, metrics=metrics, guardrails=guardrails, analysis=analysis)
