"""The sources from which signals are read. Pure."""

from enum import StrEnum


class Need(StrEnum):
    """One source of signals. The compiler reads the sources that the signals declare.

    `norms` are the course's norms of the day, and `scores` those of them that divide its learners
    into fifths. `pace` is the learner's own pace relative to them.
    `log` are single events, including those of sent messages. They are read for any instant alike.
    """

    DAILY = "daily"
    PROGRESS = "progress"
    PACE = "pace"
    NORMS = "norms"
    SCORES = "scores"
    TRAITS = "traits"
    LOG = "log"


class UndeclaredNeedError(Exception):
    """A signal reads a source that its row does not declare. It would be unknown for everybody."""
