"""How evenly the arms of an experiment share its strata."""

from collections import Counter, defaultdict
from datetime import datetime

from django.db.models import Count

from experiments.design import SECTION
from experiments.models import Experiment
from experiments.protocol import read_protocol
from experiments.randomize.balance import DrawBalance, draw_balance


def balance_of(experiment: Experiment, *, as_of: datetime | None = None) -> DrawBalance:
    """Return the balance of the draws up to the instant, of sections where those are drawn.

    One query. Raise ProtocolError for a protocol that cannot be read.
    """
    protocol = read_protocol(experiment.protocol)
    is_section = protocol.design.unit == SECTION
    draws = experiment.section_draws.all() if is_section else experiment.assignments.all()
    if as_of is not None:
        draws = draws.filter(**{"at__lte" if is_section else "assigned_at__lte": as_of})
    rows = draws.order_by().values_list("stratum__key", "arm__key").annotate(units=Count("pk"))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for stratum, arm, units in rows:
        counts[stratum or ""][arm] = units
    return draw_balance(counts, arms=[arm.key for arm in protocol.arms])
