"""The entries and leavings of one enrollment, with the conditions that decided at entry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from segmentation.models import (
    ArchivedTransition,
    Membership,
    SegmentVersion,
    Transition,
    TransitionCause,
    TransitionKind,
)
from segmentation.rules import Group, RuleError, Verdict, parse, verdicts

MOST = 200
Rows = TypeVar("Rows", Transition, ArchivedTransition)


@dataclass(frozen=True)
class Moved:
    """An entry or a leaving. `verdicts` are those of an entry, the deciding ones first.

    `was_in`: the learner was a member before. At its start, an experiment writes an entry for each
    present member.
    """

    transition: Transition
    verdicts: list[Verdict]
    was_in: bool


def moves_between(
    enrollment_id: int, since: datetime, until: datetime, *, archived: bool = False
) -> list[Moved]:
    """Return the enrollment's entries and leavings in the time, the latest first. Three queries.

    With `archived` it looks for them in the archive.
    """
    within = {"enrollment": enrollment_id, "occurred_at__gte": since, "occurred_at__lt": until}
    found = _archived(within) if archived else _transitions(within)
    if not found:
        return []
    entered = [each for each in found if each.kind == TransitionKind.ENTER]
    signals = {
        (each.segment_id, each.entered_at): each.signals
        for each in Membership.objects.filter(
            enrollment=enrollment_id, entered_at__in={each.occurred_at for each in entered}
        )
    }
    rules = _rules(entered)
    moved = []
    for each in found:
        rule = rules.get((each.segment_id, each.version))
        at_entry = signals.get((each.segment_id, each.occurred_at), {})
        is_entry = each.kind == TransitionKind.ENTER and rule is not None
        was_in = _is_announced(each) and (each.segment_id, each.occurred_at) not in signals
        moved.append(Moved(each, verdicts(rule, at_entry) if is_entry and rule else [], was_in))
    return moved


def last_move_before(enrollment_id: int, instant: datetime) -> datetime | None:
    """Return when the last entry or leaving before the instant was. One query."""
    before = Q(enrollment=enrollment_id, occurred_at__lt=instant)
    found = _last_of(Transition, before).union(_last_of(ArchivedTransition, before))
    return max((at for (at,) in found), default=None)


def _last_of(model: type[Rows], before: Q) -> Any:
    rows = model._default_manager.filter(before).order_by().values("enrollment")
    return rows.annotate(at=Max("occurred_at")).values_list("at")


def last_entry(enrollment_id: int) -> Transition | None:
    """Return the enrollment's last entry into a segment.

    One query, and one more if all its entries are in the archive. Entries that an experiment wrote
    at its start for present members are left out.
    """
    entries = _real_entries(Transition, enrollment_id)
    found = entries.select_related("segment__playbook", "enrollment__course").order_by("-id")
    return found.first() or _last_archived_entry(enrollment_id)


def _last_archived_entry(enrollment_id: int) -> Transition | None:
    entries = _real_entries(ArchivedTransition, enrollment_id)
    found = entries.select_related("segment__playbook", "enrollment__course").order_by("-id")
    row = found.first()
    return None if row is None else row.as_transition()


def _real_entries(model: type[Rows], enrollment_id: int) -> QuerySet[Rows]:
    entries = model._default_manager.filter(enrollment=enrollment_id, kind=TransitionKind.ENTER)
    began = Membership.objects.filter(
        enrollment=OuterRef("enrollment"),
        segment=OuterRef("segment"),
        entered_at=OuterRef("occurred_at"),
    )
    return entries.exclude(Q(cause=TransitionCause.BASELINE, starts=True) & ~Exists(began))


def _transitions(within: Mapping[str, Any]) -> list[Transition]:
    rows = Transition.objects.filter(**within).select_related("segment__playbook")
    return list(rows.order_by("-occurred_at", "-id")[:MOST])


def _archived(within: Mapping[str, Any]) -> list[Transition]:
    rows = ArchivedTransition.objects.filter(**within).select_related("segment__playbook")
    return [row.as_transition() for row in rows.order_by("-occurred_at", "-id")[:MOST]]


def _is_announced(transition: Transition) -> bool:
    is_entry = transition.kind == TransitionKind.ENTER
    return is_entry and transition.starts and transition.cause == TransitionCause.BASELINE


def _rules(transitions: Iterable[Transition]) -> dict[tuple[int, int], Group]:
    wanted = {(each.segment_id, each.version) for each in transitions}
    condition = Q(pk__in=[])
    for segment_id, version in wanted:
        condition |= Q(segment=segment_id, version=version)
    rows = SegmentVersion.objects.filter(condition).values_list("segment_id", "version", "rule")
    return {(pk, version): rule for pk, version, shape in rows if (rule := _read(shape))}


def _read(shape: object) -> Group | None:
    try:
        return parse(shape)
    except RuleError:
        return None
