"""What learners of a segment did without the messages of a nudge, as far as it is known."""

from datetime import datetime, timedelta

from django.db.models import Max

from activity.access import Viewer, for_user
from experiments.metrics.definitions import METRICS
from experiments.queries import outcomes_since
from experiments.reporting.planning import UsualShare, usual_share
from segmentation.models import Segment, Transition, TransitionCause, TransitionKind

# The primary outcome of the experiment that a nudge starts.
METRIC = METRICS[0]
WEEKS = 4
# The last entries that are counted, and the last transitions of all segments among which they are
# looked for. In a course of a million learners, more would take too long for a page.
_MOST_COUNTED = 2_000
_MOST_LOOKED_AT = 200_000


def usual_share_of(segment: Segment, *, viewer: Viewer, zone: str, now: datetime) -> UsualShare:
    """Return the share of those who entered some weeks ago that reached the primary outcome.

    The days of observation of each of them are over. Three queries.
    """
    until = now - METRIC.window
    since = until - timedelta(weeks=WEEKS)
    newest = Transition.objects.aggregate(id=Max("id"))["id"] or 0
    entries = for_user(Transition.objects.filter(segment=segment), viewer).filter(
        id__gt=newest - _MOST_LOOKED_AT,
        kind=TransitionKind.ENTER,
        starts=True,
        occurred_at__gte=since,
        occurred_at__lte=until,
    )
    # An experiment writes such entries at its start for learners who entered at other instants.
    entries = entries.exclude(cause=TransitionCause.BASELINE)
    latest = entries.order_by("-id").values_list("enrollment_id", "occurred_at")[:_MOST_COUNTED]
    # A learner who entered several times counts from the first of these entries, as in a draw.
    starts = dict(latest)
    observed = outcomes_since(starts, metric=METRIC, as_of=now)
    return usual_share(observed, since=since, until=until, zone=zone)
