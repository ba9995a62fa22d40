"""Events between the reading of a stage's clock and the claim of a row."""

from datetime import timedelta

import pytest

from activity.models import Due, DueCause
from activity.operations import ingest
from segmentation.models import Membership, Transition
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment, make_event
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


@pytest.fixture
def enrollment():
    course = make_course()
    made = make_enrollment(course)
    make_segment(make_playbook(course), ACTED_TODAY)
    evaluate_due(now=NOW - timedelta(hours=1))
    return made


def test_event_after_the_clock_was_read_is_evaluated_at_its_own_instant(enrollment):
    # The row is due already for another reason. The task's clock says NOW, then the learner acts.
    Due.objects.filter(pk=enrollment.pk).update(due_at=NOW - SECOND)
    later = NOW + 2 * SECOND
    ingest([make_event(enrollment, occurred_at=later)], now=later)

    evaluate_due(now=NOW)

    due = Due.objects.get(pk=enrollment.pk)
    assert (due.due_at, due.cause) == (later, DueCause.EVENT)
    assert not Membership.objects.exists()

    evaluate_due(now=later)

    assert Membership.objects.get().enrollment_id == enrollment.pk
    assert Transition.objects.get().cause == "event"
