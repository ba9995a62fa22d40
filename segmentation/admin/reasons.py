"""Explain why a learner is in a segment: each condition with its signal at entry and now."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.template.loader import render_to_string

from common.clock import utc_now
from segmentation import models, queries
from segmentation.admin.words import in_words
from segmentation.rules import (
    Condition,
    Group,
    RuleError,
    conditions,
    deciding,
    describe,
    explain,
    parse,
)
from segmentation.signals import SignalValue

Signals = Mapping[str, SignalValue]
NOT_IN_SCOPE = "not in scope: the course is over for the learner, or has not begun"


@dataclass(frozen=True)
class _Reason:
    """One condition, its signal at entry and now, and when the condition decides the rule."""

    condition: str
    at_entry: str
    now: str
    decides: str


def reasons_text(membership: models.Membership) -> str:
    """Return the conditions of the rule at entry as a table, deciding conditions first."""
    rule = _rule_at_entry(membership)
    if rule is None:
        return "; ".join(in_words(membership.signals)) or "no signals were read"
    now = _signals_now(membership, rule)
    return render_to_string(
        "segmentation/reasons.html", {"reasons": _reasons(rule, membership, now)}
    )


def _rule_at_entry(membership: models.Membership) -> Group | None:
    versions = models.SegmentVersion.objects.filter(segment=membership.segment_id)
    shape = versions.filter(version=membership.version).values_list("rule", flat=True).first()
    try:
        return None if shape is None else parse(shape)
    except RuleError:
        return None


def _signals_now(membership: models.Membership, rule: Group) -> Signals | None:
    """Return the current signals of the rule, or None if the learner is not in scope."""
    enrollment = membership.enrollment
    refs = list(dict.fromkeys(condition.ref for condition in conditions(rule)))
    as_of = enrollment.course.clock_stopped_at or utc_now()
    rows = queries.read_signals(
        enrollment.course, refs, as_of=as_of, enrollment_ids=[enrollment.pk]
    )
    return next((row.signals for row in rows), None)


def _reasons(rule: Group, membership: models.Membership, now: Signals | None) -> list[_Reason]:
    at_entry = _deciding(rule, membership.signals)
    today = _deciding(rule, now)
    every = dict.fromkeys([*today, *at_entry, *conditions(rule)])
    return [
        _Reason(
            condition=explain(one),
            at_entry=_words(one, membership.signals),
            now=NOT_IN_SCOPE if now is None else _words(one, now),
            decides=_when(at_entry=one in at_entry, now=one in today),
        )
        for one in every
    ]


def _deciding(rule: Group, signals: Signals | None) -> list[Condition]:
    # A member added manually may have entered before any signal was read.
    known = signals is not None and all(part.ref.identity in signals for part in conditions(rule))
    return deciding(rule, signals) if known and signals is not None else []


def _words(condition: Condition, signals: Signals) -> str:
    identity = condition.ref.identity
    return describe(identity, signals[identity]) if identity in signals else "was not read"


def _when(*, at_entry: bool, now: bool) -> str:
    times = [word for word, is_so in (("at entry", at_entry), ("now", now)) if is_so]
    return " and ".join(times) or "no"
