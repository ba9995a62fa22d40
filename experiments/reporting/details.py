"""What only the page of a report shows. Pure."""

from dataclasses import dataclass, field
from datetime import datetime

from experiments.reporting.baseline import BaselineRow
from experiments.reporting.looking import Moment
from experiments.reporting.readings import Reading
from experiments.reporting.strata import StrataTable
from experiments.reporting.subgroups import Subgroups


@dataclass(frozen=True)
class Details:
    """The difference over time, parts of the learners, the time before the draw, other readings.

    Also what the ledger holds: changes after the start, the first one first, and the positions of
    kept reports, the latest first, each with its instant.
    """

    over_time: list[Moment]
    subgroups: list[Subgroups]
    baseline: list[BaselineRow]
    readings: list[Reading]
    deviations: list[tuple[datetime, str]]
    kept: list[tuple[int, datetime]]
    # Where arm sizes that can hardly be chance come from; empty if they fit the draw.
    standing_out: list[str] = field(default_factory=list)
    # How evenly the arms share the strata; None without strata.
    strata: StrataTable | None = None
    # How many present members lie outside its part of an exclusion layer; None if not counted.
    outside: int | None = None
