"""Warn about a segment's rule in a course: it matches nobody, nearly everybody, or wrong learners.

Read only. The warnings are for course admins; they change and hold nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from activity.models import Course
from segmentation.queries import SignalRow, read_signals
from segmentation.rules import Condition, Group, conditions, evaluate, explain
from segmentation.signals import SIGNALS_BY_NAME, SignalRef

NEARLY_EVERYBODY = 0.8
# In a smaller course a share means little.
FEWEST = 10
# A learner who was active on three of the last seven days is not inactive. Fewer days may mean that
# the learner has just come back.
ACTIVE_DAYS = 3
WEEK = SignalRef(SIGNALS_BY_NAME["active_days"], 7)
MOST_ACTIVE = 0.1
SOUND = "no warnings: the rule matches {held:,} of the {of:,} learners in scope"


@dataclass(frozen=True)
class _Found:
    """All enrollments in scope with their signals, and those that the rule matches."""

    rule: Group
    rows: Sequence[SignalRow]
    held: Sequence[SignalRow]


def check_rule(rule: Group, course: Course, *, as_of: datetime) -> list[str]:
    """Return the warnings about the rule in the course as clauses, or one clause if there are none.

    One query, up to three if the rule needs norms.
    """
    refs = dict.fromkeys([*(condition.ref for condition in conditions(rule)), WEEK])
    rows = list(read_signals(course, list(refs), as_of=as_of))
    found = _Found(rule, rows, [row for row in rows if evaluate(rule, row.signals) is True])
    warnings = list(_warnings(found))
    return warnings or [SOUND.format(held=len(found.held), of=len(rows))]


def _warnings(found: _Found) -> Iterator[str]:
    if not found.rows:
        yield "the rule can match nobody: the course has no learners in scope now"
    elif not found.held:
        yield f"the rule matches nobody: {'; '.join(_why_nobody(found))}"
    elif len(found.rows) >= FEWEST and len(found.held) > NEARLY_EVERYBODY * len(found.rows):
        yield (
            f"the rule matches nearly everybody: {len(found.held):,} of the {len(found.rows):,}"
            " learners in scope"
        )
    active = [row for row in found.held if _days(row) >= ACTIVE_DAYS]
    if _asks_for_inactivity(found.rule) and len(active) > MOST_ACTIVE * len(found.held):
        yield (
            f"the rule contradicts itself: it asks for inactivity, but {len(active):,} of the"
            f" {len(found.held):,} learners that it matches were active on {ACTIVE_DAYS} or more of"
            " the last 7 days"
        )


def _why_nobody(found: _Found) -> Iterator[str]:
    """Yield the conditions that are true for nobody, and whether their signals are all unknown."""
    failing = 0
    for condition in dict.fromkeys(conditions(found.rule)):
        answers = [evaluate(condition, row.signals) for row in found.rows]
        if True in answers:
            continue
        failing += 1
        unknown = answers.count(None)
        words = "is unknown for everybody" if unknown == len(answers) else "is true for nobody"
        yield f"“{explain(condition)}” {words}"
    if not failing:
        yield "each of its conditions is true for somebody, but never all together"


def _asks_for_inactivity(rule: Condition | Group) -> bool:
    """Return whether a condition asks for learners who were not active."""
    if isinstance(rule, Group):
        # A negated group may ask for the opposite, so it is not judged.
        return not rule.negated and any(_asks_for_inactivity(part) for part in rule.rules)
    if rule.field == "days_since_activity":
        return rule.operator in (">", ">=")
    return rule.field == "active_days" and (
        rule.operator in ("<", "<=") or (rule.operator == "=" and rule.value == 0)
    )


def _days(row: SignalRow) -> int:
    days = row.signals[WEEK.identity]
    return days if isinstance(days, int) else 0
