"""The analysis of an experiment as staff type it: outcomes, guardrails, looks and parts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from experiments.metrics.definitions import (
    GUARDRAILS,
    METRICS,
    MORE_METRICS,
    Metric,
    metric_definition,
)
from experiments.protocol import ProtocolGuardrail
from experiments.stats.comparison import RATES

OUTCOMES = {metric.key: metric for metric in (*METRICS, *MORE_METRICS)}
_GUARDRAILS = {metric.key: metric for metric, _ in GUARDRAILS}
USUAL_PRIMARY = METRICS[0].key
RATE_OUTCOMES = frozenset(key for key, metric in OUTCOMES.items() if metric.family is RATES)
NEEDS_RATE = (
    "An adaptive draw follows a share of learners. Choose an outcome that each learner has or has "
    "not, such as “Quiz attempted within 7 days”, or draw without adapting."
)
NO_LOOKS = (
    "An adaptive draw is judged once, at its end. Leave the planned looks empty, or draw without "
    "adapting."
)
NO_SUBGROUPS = (
    "Parts of the learners of an adaptive draw are too small to be compared. Leave them empty, or "
    "draw without adapting."
)
MOST_LOOKS = 10
MOST_SUBGROUPS = 5


@dataclass(frozen=True)
class TypedGuardrail:
    """The key of a guardrail and the largest harm that is accepted, in its unit."""

    key: str
    margin: float


def usual_outcomes() -> list[str]:
    """Return the keys of the outcomes beside the primary one that an experiment has by default."""
    return [metric.key for metric in METRICS[1:]]


def usual_guardrails() -> str:
    """Return the default guardrails as staff type them, one in a line."""
    return "\n".join(f"{metric.key} {margin:g}" for metric, margin in GUARDRAILS)


def outcome_choices() -> list[tuple[str, str]]:
    """Return the keys and the names of all outcomes."""
    return [(key, metric.name) for key, metric in OUTCOMES.items()]


def chosen_outcomes(primary: str, others: Sequence[str]) -> list[Metric]:
    """Return the outcomes, the primary one first and each once.

    Raise ValueError with a sentence for one that is not known.
    """
    keys = [primary, *(key for key in OUTCOMES if key in others and key != primary)]
    unknown = sorted({primary, *others} - OUTCOMES.keys())
    if unknown:
        raise ValueError(f"This release of Nudgelab does not know the outcome {unknown[0]}.")
    return [OUTCOMES[key] for key in keys]


def read_guardrails(text: str) -> tuple[ProtocolGuardrail, ...]:
    """Return the guardrails of the lines, each a key and a margin as a share: `left_7d 0.05`.

    Raise ValueError with a sentence that names the line that cannot be read.
    """
    found = [_read_guardrail(line) for line in _lines(text)]
    keys = [each.key for each in found]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"“{key}” stands there twice. Write each guardrail once.")
    return tuple(
        ProtocolGuardrail(metric_definition(_GUARDRAILS[each.key]), each.margin) for each in found
    )


def read_looks(text: str, *, zone: str) -> tuple[str, ...]:
    """Return the looks of the lines as ISO instants: the start of each date in the zone.

    Raise ValueError with a sentence for a line that is no date, and for dates out of order.
    """
    days = [_day(line) for line in _lines(text)]
    if len(days) > MOST_LOOKS:
        raise ValueError(f"Write at most {MOST_LOOKS} dates. Each look costs some of the power.")
    if days != sorted(set(days)):
        raise ValueError("Write the dates in their order, each once.")
    starts = (datetime.combine(day, time(), tzinfo=ZoneInfo(zone)) for day in days)
    return tuple(start.isoformat() for start in starts)


def read_subgroups(text: str) -> tuple[str, ...]:
    """Return the names of the traits in the lines. Raise ValueError for too many of them."""
    found = tuple(dict.fromkeys(_lines(text)))
    if len(found) > MOST_SUBGROUPS:
        raise ValueError(
            f"Write at most {MOST_SUBGROUPS} traits: among many, some differ by chance."
        )
    return found


def _lines(text: str) -> list[str]:
    return [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]


def _read_guardrail(line: str) -> TypedGuardrail:
    key, _, number = line.partition(" ")
    if key not in _GUARDRAILS:
        raise ValueError(
            f"“{key}” is no guardrail. Write one of {', '.join(_GUARDRAILS)}, then the largest "
            "harm that you accept as a share, such as 0.02."
        )
    try:
        margin = float(number)
    except ValueError:
        margin = 0.0
    if not 0 < margin < 1:
        raise ValueError(f"Write a share above 0 and below 1 after “{key}”, such as 0.02.")
    return TypedGuardrail(key, margin)


def _day(line: str) -> date:
    try:
        return date.fromisoformat(line)
    except ValueError as error:
        raise ValueError(f"“{line}” is no date. Write it as 2026-03-01.") from error
