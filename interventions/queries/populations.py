"""The segments that an experiment draws from, and the lock that keeps cadences and starts apart."""

from collections.abc import Iterable

from django.db.models import Q

from experiments.models import Experiment
from segmentation.models import Segment


def population_segments(experiment_id: int) -> list[int]:
    """Return the ids of the experiment's segments in order. One query."""
    experiment = Experiment.objects.filter(pk=experiment_id)
    of_population = Q(pk__in=experiment.values("segment_id")) | Q(
        playbook__in=experiment.values("playbook_id")
    )
    return list(Segment.objects.filter(of_population).order_by("pk").values_list("pk", flat=True))


def lock_segments(segment_ids: Iterable[int]) -> None:
    """Lock the segments in order until the transaction ends."""
    rows = Segment.objects.filter(pk__in=list(segment_ids)).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))
