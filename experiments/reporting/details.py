"""What only the page of a report shows. Pure."""

from dataclasses import dataclass

from experiments.reporting.baseline import BaselineRow
from experiments.reporting.looking import Moment
from experiments.reporting.subgroups import Subgroups


@dataclass(frozen=True)
class Details:
    """The difference over time, the parts of the learners, and the time before the draw."""

    over_time: list[Moment]
    subgroups: list[Subgroups]
    baseline: list[BaselineRow]
