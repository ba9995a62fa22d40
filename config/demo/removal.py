"""Delete an earlier demo: all rows of its course and its own keys, and nothing else."""

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from activity.models import (
    Course,
    DailyActivity,
    Enrollment,
    Event,
    Item,
    Learner,
    Progress,
    RejectedEvent,
)
from config.demo.scenario import CADENCES, CATEGORIES, COURSE_KEY, EXPERIMENT_KEY, PLAYBOOK_KEY
from experiments.models import Assignment, DeliveryOutcome, Experiment
from interventions.models import (
    ArchivedDelivery,
    Cadence,
    Category,
    Delivery,
    MailboxMessage,
    MessageTemplate,
    Run,
)
from segmentation.models import ArchivedTransition, Membership, Playbook, Segment, Transition


# Only this function deletes across apps. Only the demo deletes a course, and rows of the ledger are
# protected from all other deletions.
@transaction.atomic
def remove_demo() -> bool:
    """Delete the earlier demo and return whether there was one.

    Raise ProtectedError, and delete nothing, if another row depends on it, such as a cadence that
    an admin made with one of its messages.
    """
    found = Course.objects.filter(key=COURSE_KEY).exists()
    for rows in _rows():
        rows.delete()
    return found


def _rows() -> Iterator[QuerySet[Any]]:
    """Yield the rows to delete, in an order in which no row is still referenced."""
    of_course = Q(course__key=COURSE_KEY)
    of_enrollment = Q(enrollment__course__key=COURSE_KEY)
    segments = Q(segment__playbook__key=PLAYBOOK_KEY)
    experiment = Q(experiment__key=EXPERIMENT_KEY)
    steps = [step.key for cadence in CADENCES for step in cadence.steps]
    yield DeliveryOutcome.objects.filter(assignment__experiment__key=EXPERIMENT_KEY)
    yield Delivery.objects.filter(of_enrollment)
    yield ArchivedDelivery.objects.filter(of_enrollment)
    yield Run.objects.filter(of_enrollment)
    yield Assignment.objects.filter(experiment)
    yield Cadence.objects.filter(key__in=[cadence.key for cadence in CADENCES])
    yield MessageTemplate.objects.filter(key__in=steps)
    yield Category.objects.filter(key__in=[category.key for category in CATEGORIES])
    yield Experiment.objects.filter(key=EXPERIMENT_KEY)
    for each in (Transition, ArchivedTransition):
        yield each.objects.filter(of_enrollment | segments)
    yield Membership.objects.filter(of_enrollment | segments)
    yield Segment.objects.filter(playbook__key=PLAYBOOK_KEY)
    yield Playbook.objects.filter(key=PLAYBOOK_KEY)
    for model in (Event, DailyActivity, Progress):
        yield model.objects.filter(of_enrollment)
    yield Enrollment.objects.filter(of_course)
    # Learners of the demo who are also enrolled elsewhere stay.
    yield Learner.objects.filter(external_id__startswith=f"{COURSE_KEY}-", enrollments=None)
    yield Item.objects.filter(of_course)
    yield RejectedEvent.objects.filter(payload__course=COURSE_KEY)
    yield MailboxMessage.objects.filter(recipient__endswith=f"@{COURSE_KEY}.example")
    yield Course.objects.filter(key=COURSE_KEY)
