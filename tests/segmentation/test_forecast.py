"""The forecast says what evaluation then does, if nothing happens meanwhile. It writes nothing."""

from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from activity.models import Enrollment
from segmentation.models import Norms, SegmentStatus, Transition
from segmentation.operations import add_member, forecast, install_playbook, remove_member
from segmentation.operations.playbooks import add_courses
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_course, make_enrollment
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    due_at,
    identity,
    make_playbook,
    make_segment,
    where,
)

pytestmark = pytest.mark.django_db
END = NOW + timedelta(days=14)


def what_happens(enrollment: Enrollment) -> list[tuple[Any, str, int]]:
    """Evaluate at each due instant until the end, and return the transitions."""
    while (at := due_at(enrollment)) is not None and at <= END:
        evaluate_due(now=max(at, NOW))
    found = Transition.objects.filter(enrollment=enrollment).order_by("occurred_at", "id")
    return sorted(found.values_list("occurred_at", "kind", "segment_id"))


def foreseen(enrollment: Enrollment) -> list[tuple[Any, str, int]]:
    changes = forecast(enrollment, now=NOW).changes
    entered = [(each.at, "enter", pk) for each in changes for pk in each.entered]
    left = [(each.at, "leave", pk) for each in changes for pk in each.left]
    return sorted([*entered, *left])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ana", "bo", "cy"])
@pytest.mark.parametrize("is_up_to_date", [True, False])
@pytest.mark.sampled("True-ana", "False-bo", "True-cy")
def test_five_segments_change_as_foreseen(name: str, is_up_to_date: bool) -> None:
    cast = make_cast(ends_on=(NOW + timedelta(days=12)).date())
    playbook = install_playbook("five-segments", now=NOW)
    add_courses(playbook.pk, [cast.course.pk])
    ago = NOW - timedelta(days=6)
    act(cast.everybody[name], "PLAY_VIDEO", item=cast.videos[1], occurred_at=ago)
    if is_up_to_date:
        bring_up_to_date()
    Norms.objects.all().delete()

    found = foreseen(cast.everybody[name])

    assert found
    assert not Norms.objects.exists()
    assert found == what_happens(cast.everybody[name])


def test_members_move_on_in_memory_alone() -> None:
    enrollment = make_enrollment(make_course())
    playbook = make_playbook(enrollment.course, exclusive=True)
    # A member stays here until the leave rule is true, so it matters that it is a member.
    make_segment(playbook, ACTED_TODAY, priority=1, leave_rule=QUIET)
    make_segment(playbook, QUIET, priority=2)
    make_segment(make_playbook(enrollment.course), where("logins", "=", 0, window=7))
    act(enrollment, occurred_at=NOW - timedelta(hours=1))
    bring_up_to_date()

    found = foreseen(enrollment)

    assert [kind for _, kind, _ in found] == ["enter", "enter", "leave"]
    assert not Transition.objects.exists()
    assert found == what_happens(enrollment)


def test_overrides_and_frozen_segments_are_foreseen() -> None:
    enrollment = make_enrollment(make_course())
    playbook = make_playbook(enrollment.course)
    removed, added, frozen = (make_segment(playbook, QUIET) for _ in range(3))
    bring_up_to_date()
    type(frozen).objects.filter(pk=frozen.pk).update(status=SegmentStatus.FROZEN)
    remove_member(removed.pk, enrollment.pk, now=NOW)
    act(enrollment, occurred_at=NOW - timedelta(hours=1))
    add_member(added.pk, enrollment.pk, now=NOW)

    assert foreseen(enrollment) == [(NOW, "leave", removed.pk)]


def test_a_change_has_the_signals_that_decide_it() -> None:
    enrollment = make_enrollment(make_course())
    make_segment(make_playbook(enrollment.course), QUIET)
    act(enrollment, occurred_at=NOW - timedelta(days=5))
    bring_up_to_date()

    (change,) = forecast(enrollment, now=NOW).changes

    assert change.at == NOW + timedelta(days=2)
    assert change.signals == {identity("days_since_activity"): 7.0}


def test_a_large_course_uses_the_norms_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    cast = make_cast(ends_on=(NOW + timedelta(days=12)).date())
    add_courses(install_playbook("five-segments", now=NOW).pk, [cast.course.pk])
    bring_up_to_date()

    assert norms_computed(cast.ana) == 1
    monkeypatch.setattr(import_module("segmentation.operations.forecast"), "MOST_TO_COMPUTE", 2)
    assert norms_computed(cast.ana) == 0


def norms_computed(enrollment: Enrollment) -> int:
    with CaptureQueriesContext(connection) as captured:
        forecast(enrollment, now=NOW)
    return sum("completion AS MATERIALIZED" in query["sql"] for query in captured)


def test_a_course_without_segments_has_no_forecast() -> None:
    assert forecast(make_enrollment(), now=NOW).changes == []


@pytest.mark.slow
def test_a_forecast_costs_at_most_forty_readings() -> None:
    cast = make_cast(ends_on=(NOW + timedelta(days=300)).date())
    playbook = install_playbook("five-segments", now=NOW)
    add_courses(playbook.pk, [cast.course.pk])
    bring_up_to_date()

    with CaptureQueriesContext(connection) as captured:
        found = forecast(cast.ana, now=NOW, days=200)

    assert len(captured) <= 48
    assert found.until < NOW + timedelta(days=200)
