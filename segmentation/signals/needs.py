"""What signals are read from. Pure."""

from enum import StrEnum


class Need(StrEnum):
    """One thing that signals are read from; the compiler reads what those of a statement declare.

    `norms` are the course's of the day, `pace` is the learner's own against them, `log` are single
    events, those of what Nudgelab sent too.
    """

    DAILY = "daily"
    PROGRESS = "progress"
    PACE = "pace"
    NORMS = "norms"
    TRAITS = "traits"
    LOG = "log"


class UndeclaredNeedError(Exception):
    """A signal reads what its row does not declare: it would be unknown for everybody."""
