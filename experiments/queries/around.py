"""What learners did in the days before an instant of their own, and in as many days after it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment
from common.clock import local_midnight
from experiments.metrics.definitions import Metric
from experiments.models import Assignment, Experiment
from experiments.queries.replays import rows_since
from experiments.reporting.around import Pairs
from segmentation.models import Segment


@dataclass(frozen=True)
class KnownEntries:
    """The entries whose days before and after are known, and the numbers of the others by reason.

    The learner or the course is `new`, the days after are not `ended`, or the course was `over`.
    """

    starts: dict[int, datetime]
    new: int
    not_ended: int
    over: int


def known_entries(
    starts: Mapping[int, datetime], course: Course, *, window: timedelta, as_of: datetime
) -> KnownEntries:
    """Return the enrollments of the course whose windows before and after the instants are known.

    Events are known up to as_of, or up to the instant at which the course's feed fell silent. One
    query.
    """
    enrolled = dict(
        Enrollment.objects.filter(pk__in=starts).values_list("pk", "enrolled_at").iterator()
    )
    zone = course.time_zone
    first = local_midnight(course.starts_on, zone)
    end = local_midnight(course.ends_on + timedelta(days=1), zone)
    until = min(as_of, course.feed_held_since or as_of)
    known: dict[int, datetime] = {}
    counts = {"new": 0, "not_ended": 0, "over": 0}
    for each, at in starts.items():
        if at - window < max(first, enrolled[each]):
            counts["new"] += 1
        elif at + window > end:
            counts["over"] += 1
        elif at + window > until:
            counts["not_ended"] += 1
        else:
            known[each] = at
    return KnownEntries(known, **counts)


def pairs_around(
    starts: Mapping[int, datetime], *, metrics: Sequence[Metric], as_of: datetime
) -> dict[str, Pairs]:
    """Return by metric key each enrollment's number before and after its instant.

    The metrics have one column and one window. Two queries.
    """
    (window,) = {each.window for each in metrics}
    earlier = {each: at - window for each, at in starts.items()}
    before = rows_since(earlier, metrics=metrics, as_of=as_of) if starts else {}
    after = rows_since(starts, metrics=metrics, as_of=as_of) if starts else {}
    return {
        metric.key: {
            each: (_value(metric, before[each][place]), _value(metric, after[each][place]))
            for each in starts
        }
        for place, metric in enumerate(metrics)
    }


def _value(metric: Metric, number: object) -> int:
    value: int = metric.outcome.value(number)  # type: ignore[attr-defined]
    return value


def started_experiments(segment: Segment, *, viewer: Viewer) -> QuerySet[Experiment]:
    """Return the experiments that draw or drew members of the segment, the latest first."""
    own = Q(segment=segment) | Q(playbook=segment.playbook_id)
    seen = for_user(Experiment.objects.filter(own, started_at__isnull=False), viewer)
    return seen.order_by("-started_at")


def control_enrollments(segment: Segment, enrollment_ids: Collection[int]) -> set[int]:
    """Return those in the control arm of an experiment with members of the segment. One query."""
    own = Q(experiment__segment=segment) | Q(experiment__playbook=segment.playbook_id)
    found = Assignment.objects.filter(own, arm__is_control=True, enrollment__in=enrollment_ids)
    return set(found.values_list("enrollment_id", flat=True))
