"""Experiments that draw new members, and the arms that were drawn."""

from collections.abc import Collection

from django.db.models import Q

from experiments.models import Assignment, Experiment, ExperimentStatus
from segmentation.models import Segment


def running_experiments(segment_ids: Collection[int]) -> dict[int, list[Experiment]]:
    """Return by segment the experiments that draw its new members: its own and its playbook's."""
    segments = Segment.objects.filter(pk__in=segment_ids)
    playbooks = dict(segments.values_list("pk", "playbook"))
    of_segments = Q(segment__in=playbooks) | Q(playbook__in=set(playbooks.values()))
    running = Experiment.objects.filter(of_segments, status=ExperimentStatus.RUNNING)
    found = list(running.order_by("id"))
    return {
        segment: [e for e in found if e.segment_id == segment or e.playbook_id == playbook]
        for segment, playbook in playbooks.items()
    }


def assignments_of(enrollment_ids: Collection[int]) -> list[Assignment]:
    """Return the enrollments' assignments with their arms and experiments, the oldest first."""
    found = Assignment.objects.filter(enrollment__in=enrollment_ids)
    return list(found.select_related("arm", "experiment").order_by("assigned_at", "id"))
