"""An event between an edit and its settling is not the cause of the edit's transitions."""

from datetime import timedelta

import pytest

from activity.models import Course
from activity.operations import ingest, settle_edits
from segmentation.models import Transition
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment, make_event, make_item
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def enrollment():
    course = make_course(live_since=NOW - 24 * HOUR)
    made = make_enrollment(course)
    make_segment(make_playbook(course), where("modules_open", ">=", 1))
    evaluate_due(now=NOW)
    return made


def import_module_and_die(course):
    """Do the same as an import until its commit: add the item and pull no enrollment yet."""
    make_item(course, "module")
    Course.objects.filter(pk=course.pk).update(edits=course.edits + 1)


def test_event_before_the_edit_is_settled_starts_nothing(enrollment):
    import_module_and_die(enrollment.course)
    ingest([make_event(enrollment, occurred_at=NOW + HOUR)], now=NOW + HOUR)

    evaluate_due(now=NOW + HOUR)

    transition = Transition.objects.get()
    assert (transition.cause, transition.starts) == ("edit", False)


def test_once_settled_events_are_causes_again(enrollment):
    import_module_and_die(enrollment.course)
    settle_edits(now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    make_segment(enrollment.course.playbooks.get(), where("active_days", ">=", 1, window=1))
    evaluate_due(now=NOW + 2 * HOUR)
    ingest([make_event(enrollment, occurred_at=NOW + 3 * HOUR)], now=NOW + 3 * HOUR)

    evaluate_due(now=NOW + 3 * HOUR)

    assert list(Transition.objects.order_by("id").values_list("cause", "starts")) == [
        ("edit", False),
        ("event", True),
    ]
