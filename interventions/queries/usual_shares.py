"""What learners of a segment did without the messages of a nudge, as far as it is known."""

from datetime import datetime, timedelta

from activity.access import Viewer
from experiments.metrics.definitions import METRICS
from experiments.queries import outcomes_since
from experiments.reporting.planning import UsualShare, usual_share
from segmentation.models import Segment
from segmentation.queries import first_entries

# The primary outcome of the experiment that a nudge starts.
METRIC = METRICS[0]
WEEKS = 4
# The last entries that are counted.
_MOST_COUNTED = 2_000


def usual_share_of(segment: Segment, *, viewer: Viewer, zone: str, now: datetime) -> UsualShare:
    """Return the share of those who entered some weeks ago that reached the primary outcome.

    The days of observation of each of them are over. Three queries.
    """
    until = now - METRIC.window
    since = until - timedelta(weeks=WEEKS)
    starts = first_entries(
        [segment.pk], since=since, until=until, most=_MOST_COUNTED, viewer=viewer
    )
    observed = outcomes_since(starts, metric=METRIC, as_of=now)
    return usual_share(observed, since=since, until=until, zone=zone)
