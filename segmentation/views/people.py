"""The learners whom a count names: examples, and who enters and leaves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User

from activity.access import viewable
from activity.models import Enrollment
from segmentation.models import Segment
from segmentation.operations.segments import EVALUATED
from segmentation.queries import RuleCount
from segmentation.queries.counts import Example
from segmentation.rules import figure
from segmentation.signals import SignalRef

Staff = User | AnonymousUser


@dataclass(frozen=True)
class ShownLearner:
    """An example learner: the id if others have the same name, and the figures of the columns."""

    enrollment: Enrollment
    external_id: str
    figures: list[str]


def examples_of(
    found: Sequence[Example], refs: list[SignalRef], viewer: Staff
) -> list[ShownLearner]:
    """Return the learners with their signals, for those who may see learners."""
    by_id = _by_id([each.enrollment_id for each in found], viewer)
    names = Counter(str(one.learner) for one in by_id.values())
    return [
        ShownLearner(
            enrollment,
            enrollment.learner.external_id if names[str(enrollment.learner)] > 1 else "",
            [figure(ref, each.signals[ref.identity]) for ref in refs],
        )
        for each in found
        if (enrollment := by_id.get(each.enrollment_id))
    ]


def moves_of(found: RuleCount, segment: Segment, viewer: Staff) -> list[str]:
    """Return who enters and who leaves, ten names each, for those who may see learners."""
    if not segment.pk or segment.status not in EVALUATED:
        return []
    sides = {"Enter": (found.entering, found.enter), "Leave": (found.leaving, found.leave)}
    named = _by_id([*found.entering, *found.leaving], viewer)
    return [
        _names(word, [str(named[one].learner) for one in ids if one in named], number)
        for word, (ids, number) in sides.items()
        if any(one in named for one in ids)
    ]


def _names(word: str, names: list[str], number: int) -> str:
    more = f" and {number - len(names):,} more" if number > len(names) else ""
    return f"{word}: {', '.join(names)}{more}."


def _by_id(ids: Sequence[int], viewer: Staff) -> dict[int, Enrollment]:
    """Return the enrollments, none for a viewer who may not see learners."""
    if not viewer.has_perm("activity.view_learner"):
        return {}
    return viewable(Enrollment.objects.select_related("learner"), viewer).in_bulk(ids)
