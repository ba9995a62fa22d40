"""How evenly the arms of an experiment share its strata."""

from collections import Counter, defaultdict

from django.db.models import Count

from experiments.design import SECTION
from experiments.models import Experiment
from experiments.protocol import read_protocol
from experiments.randomize.balance import DrawBalance, draw_balance


def balance_of(experiment: Experiment) -> DrawBalance:
    """Return the balance of the draws so far, of sections where whole sections are drawn.

    One query. Raise ProtocolError for a protocol that cannot be read.
    """
    protocol = read_protocol(experiment.protocol)
    is_section = protocol.design.unit == SECTION
    draws = experiment.section_draws if is_section else experiment.assignments
    rows = draws.order_by().values_list("stratum__key", "arm__key").annotate(units=Count("pk"))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for stratum, arm, units in rows:
        counts[stratum or ""][arm] = units
    return draw_balance(counts, arms=[arm.key for arm in protocol.arms])
