"""What is odd about a segment in a course: it holds nobody, nearly everybody, or the wrong ones.

Reads only. The words are for admins; nothing is changed or held by them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from activity.models import Course
from segmentation.queries import SignalRow, read_signals
from segmentation.rules import Condition, Group, conditions, evaluate, explain
from segmentation.signals import SIGNALS_BY_NAME, SignalRef

NEARLY_EVERYBODY = 0.8
# Below it a share says nothing.
FEWEST = 10
# Who was there on three days of the last seven is not silent; some may have come back today.
ACTIVE_DAYS = 3
WEEK = SignalRef(SIGNALS_BY_NAME["active_days"], 7)
MOST_ACTIVE = 0.1
SOUND = "nothing is odd: it holds {held:,} of the {of:,} who could be in it"


@dataclass(frozen=True)
class _Found:
    """Everybody in scope with their signals, and those for whom the rule holds."""

    rule: Group
    rows: Sequence[SignalRow]
    held: Sequence[SignalRow]


def check_rule(rule: Group, course: Course, *, as_of: datetime) -> list[str]:
    """Return in clauses what is odd about the rule in the course, else one that nothing is.

    One query, up to three where the rule needs norms.
    """
    refs = dict.fromkeys([*(condition.ref for condition in conditions(rule)), WEEK])
    rows = list(read_signals(course, list(refs), as_of=as_of))
    found = _Found(rule, rows, [row for row in rows if evaluate(rule, row.signals) is True])
    odd = list(_odd(found))
    return odd or [SOUND.format(held=len(found.held), of=len(rows))]


def _odd(found: _Found) -> Iterator[str]:
    if not found.rows:
        yield "nobody could be in it: the course has nobody in scope now"
    elif not found.held:
        yield f"it fires on nobody: {'; '.join(_why_nobody(found))}"
    elif len(found.rows) >= FEWEST and len(found.held) > NEARLY_EVERYBODY * len(found.rows):
        yield (
            f"it holds nearly everybody: {len(found.held):,} of the {len(found.rows):,} who could"
            " be in it"
        )
    active = [row for row in found.held if _days(row) >= ACTIVE_DAYS]
    if _is_about_silence(found.rule) and len(active) > MOST_ACTIVE * len(found.held):
        yield (
            f"it contradicts itself: it asks for silence, and {len(active):,} of the"
            f" {len(found.held):,} it holds were active on {ACTIVE_DAYS} or more of the last 7 days"
        )


def _why_nobody(found: _Found) -> Iterator[str]:
    """Yield the conditions that hold for nobody, and whether their signals are known at all."""
    alone = 0
    for condition in dict.fromkeys(conditions(found.rule)):
        answers = [evaluate(condition, row.signals) for row in found.rows]
        if True in answers:
            continue
        alone += 1
        unknown = answers.count(None)
        words = "is unknown for everybody" if unknown == len(answers) else "holds for nobody"
        yield f"“{explain(condition)}” {words}"
    if not alone:
        yield "each of its conditions holds for somebody, but not together"


def _is_about_silence(rule: Condition | Group) -> bool:
    """Return whether a condition asks that somebody was not active."""
    if isinstance(rule, Group):
        # Turned round it asks for the contrary; what it then says is not guessed.
        return not rule.negated and any(_is_about_silence(part) for part in rule.rules)
    if rule.field == "days_since_activity":
        return rule.operator in (">", ">=")
    return rule.field == "active_days" and (
        rule.operator in ("<", "<=") or (rule.operator == "=" and rule.value == 0)
    )


def _days(row: SignalRow) -> int:
    days = row.signals[WEEK.identity]
    return days if isinstance(days, int) else 0
