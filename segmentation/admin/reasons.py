"""Explain why a learner is in a segment: each condition with its signal at entry and now."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.template.loader import render_to_string

from common.clock import utc_now
from segmentation import models, queries
from segmentation.admin.words import in_words
from segmentation.rules import Group, RuleError, Verdict, conditions, explain, parse, verdicts
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
    then, today = _verdicts(rule, membership.signals), _verdicts(rule, now or {})
    deciding = [one for found in (today, then) for one, each in found.items() if each.decides]
    every = dict.fromkeys([*deciding, *map(explain, conditions(rule))])
    return [
        _Reason(
            condition=one,
            at_entry=_value(then.get(one)),
            now=NOT_IN_SCOPE if now is None else _value(today.get(one)),
            decides=_when(at_entry=_decides(then.get(one)), now=_decides(today.get(one))),
        )
        for one in every
    ]


def _verdicts(rule: Group, signals: Signals) -> dict[str, Verdict]:
    """Return the verdicts by condition. A manual member may have entered before a reading."""
    return {each.condition: each for each in verdicts(rule, signals)}


def _value(verdict: Verdict | None) -> str:
    return "was not read" if verdict is None else verdict.value


def _decides(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.decides


def _when(*, at_entry: bool, now: bool) -> str:
    times = [word for word, is_so in (("at entry", at_entry), ("now", now)) if is_so]
    return " and ".join(times) or "no"
