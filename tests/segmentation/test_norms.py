"""Late events change norms, and affected learners change segments."""

from datetime import timedelta
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader

from activity.models import Course, PastChange
from activity.operations import ingest, rebuild_read_models, save_edited
from segmentation.models import Norms
from segmentation.norms import NORMS, NormsValues
from segmentation.operations import ensure_norms
from segmentation.operations.norms import _KEEP as KEEP
from segmentation.operations.norms import renew_norms
from segmentation.queries import compute_norms, norms_for, stored_norms
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment, make_event, make_item
from tests.processes import SECONDS_TO_FINISH
from tests.segmentation.factories import (
    bring_up_to_date,
    due_at,
    make_playbook,
    make_segment,
    members,
    transitions,
    where,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = NOW.date()
SLOW = where("pace_percentile", ">=", 0.5)


def finish(enrollment, module, *, hours, ended_at=NOW - DAY, told_at=NOW):
    """Ingest at `told_at` that the module was completed this many hours after it was touched."""
    begun_at = ended_at - hours * HOUR
    events = [
        make_event(enrollment, "VIEW_MODULE", item=module, occurred_at=begun_at),
        make_event(enrollment, "COMPLETE_MODULE", item=module, occurred_at=ended_at),
    ]
    assert ingest(events, now=told_at).stored == 2


@pytest.fixture
def course(db):
    return make_course(time_zone="UTC", live_since=NOW - 90 * DAY)


@pytest.fixture
def module(course):
    return make_item(course, "module")


@pytest.fixture
def learners(course, module):
    """Return four learners. The first three have finished, and the middle one has rank 1/3."""
    learners = [make_enrollment(course) for _ in range(4)]
    for learner, hours in zip(learners, (2, 4, 8), strict=False):
        finish(learner, module, hours=hours)
    return learners


@pytest.mark.parametrize(
    ("ended_at", "told_at", "cause"),
    [
        pytest.param(NOW - 20 * HOUR, NOW + HOUR, ("enter", "time", True), id="in time"),
        pytest.param(NOW - 25 * DAY, NOW + HOUR, ("enter", "edit", False), id="a back-fill"),
    ],
)
def test_late_events_change_the_segments_of_learners_compared_with_the_norms(
    course, module, learners, ended_at, told_at, cause
):
    segment = make_segment(make_playbook(course), SLOW)
    bring_up_to_date()
    assert members(segment) == {learners[2].pk}
    # Faster than all others, so the middle one is now in the slower half.
    finish(learners[3], module, hours=1, ended_at=ended_at, told_at=told_at)
    evaluate_due(now=told_at)
    evaluate_due(now=told_at)
    assert members(segment) == {learners[1].pk, learners[2].pk}
    assert transitions(segment)[-1:] == [cause]
    assert not PastChange.objects.exists()


def test_norms_that_lack_a_new_one_still_count_as_used(course, module, learners):
    segment = make_segment(make_playbook(course), SLOW)
    bring_up_to_date()
    # As after an upgrade in the middle of the day.
    row = Norms.objects.get(day=TODAY)
    del row.figures[next(iter(NORMS))]
    row.save()
    finish(learners[3], module, hours=1, ended_at=NOW - 20 * HOUR, told_at=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == {learners[1].pk, learners[2].pk}


def test_late_events_that_may_start_messages_move_by_time(course, module, learners):
    Course.objects.update(late_events_start=True)
    segment = make_segment(make_playbook(course), SLOW)
    bring_up_to_date()
    finish(learners[3], module, hours=1, ended_at=NOW - 25 * DAY)
    evaluate_due(now=NOW)
    assert transitions(segment)[-1:] == [("enter", "time", True)]


def test_norms_that_stay_the_same_pull_nobody(course, module, learners):
    make_segment(make_playbook(course), SLOW)
    bring_up_to_date()
    before = [due_at(each) for each in learners[:3]]
    told_at = NOW + HOUR
    event = make_event(learners[3], "VIEW_MODULE", item=module, occurred_at=NOW - 2 * DAY)
    ingest([event], now=told_at)
    assert PastChange.objects.count() == 1
    evaluate_due(now=told_at)
    assert [due_at(each) for each in learners[:3]] == before
    assert not PastChange.objects.exists()


def test_renewed_norms_of_past_days_are_correct(course, module, learners):
    for back in range(3):
        ensure_norms(course.pk, TODAY - back * DAY, now=NOW)
    finish(learners[3], module, hours=1, ended_at=NOW - DAY - HOUR)
    assert norms_for(course.pk, TODAY) == compute_norms(course.pk, TODAY), "as a page reads it now"
    assert stored_norms(course.pk, TODAY) != compute_norms(course.pk, TODAY)
    renew_norms(now=NOW)
    assert stored_norms(course.pk, TODAY) == compute_norms(course.pk, TODAY)
    kept = set(Norms.objects.values_list("day", flat=True))
    assert kept == {TODAY, TODAY - DAY, TODAY - 2 * DAY}, "days before it are as they were"


@pytest.mark.parametrize(
    ("back", "noted"),
    [
        pytest.param(timedelta(0), False, id="of today"),
        pytest.param(timedelta(microseconds=1), True, id="of yesterday"),
    ],
)
def test_event_of_a_past_day_is_noted(course, module, learners, back, noted):
    PastChange.objects.all().delete()
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    event = make_event(learners[0], "VIEW_ITEM", item=module, occurred_at=midnight - back)
    ingest([event], now=midnight + HOUR)
    assert PastChange.objects.exists() == noted


def test_event_that_may_be_committed_after_its_midnight_is_noted(course, module, learners):
    PastChange.objects.all().delete()
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight - timedelta(minutes=1)
    ingest([make_event(learners[0], "VIEW_ITEM", item=module, occurred_at=at)], now=at)
    assert PastChange.objects.get().occurred_at == at


def test_a_new_due_date_makes_an_activity_one_that_can_be_owed_at_once(course, learners):
    essay = make_item(course, "assignment")
    finish_event = make_event(learners[0], "SUBMIT_ASSIGNMENT", item=essay, occurred_at=NOW - DAY)
    ingest([finish_event], now=NOW)
    segment = make_segment(make_playbook(course), where("activities_overdue", ">=", 1))
    bring_up_to_date()
    essay.due_on = TODAY - 5 * DAY
    save_edited(essay, now=NOW + HOUR)
    evaluate_due(now=NOW + HOUR)
    assert members(segment) == {each.pk for each in learners[1:]}
    assert set(transitions(segment)) == {("enter", "edit", False)}


def test_a_rebuild_renews_the_norms(course, learners):
    ensure_norms(course.pk, TODAY, now=NOW)
    Norms.objects.update(figures=NormsValues(paces=[7.0]).to_json())
    rebuild_read_models(course_id=course.pk)
    renew_norms(now=NOW)
    assert stored_norms(course.pk, TODAY) == compute_norms(course.pk, TODAY)


@pytest.mark.parametrize("missing", NORMS)
def test_norms_of_a_release_without_one_of_them_are_computed_again(course, learners, missing):
    whole = ensure_norms(course.pk, TODAY, now=NOW)
    figures = whole.to_json()
    del figures[missing]
    Norms.objects.update(figures=figures)
    assert stored_norms(course.pk, TODAY) is None
    assert ensure_norms(course.pk, TODAY, now=NOW) == whole
    assert stored_norms(course.pk, TODAY) == whole


def test_complete_norms_are_kept_when_another_worker_stores_its_own(course, learners):
    first = NormsValues({1: 3600.0}, [0.5], [2])
    Norms.objects.create(course=course, day=TODAY, figures=first.to_json(), computed_at=NOW)
    with connection.cursor() as cursor:
        cursor.execute(KEEP, [course.pk, TODAY, "{}", NOW + DAY, list(NORMS)])
    assert stored_norms(course.pk, TODAY) == first


def models_of(name):
    """Return the models as they are after the migration."""
    return MigrationLoader(connection).project_state(("segmentation", name)).apps


def run_migration(name, *, after, backwards=False):
    """Apply or reverse one migration. Those of other apps that depend on it do not matter here."""
    loader = MigrationLoader(connection)
    migration = loader.get_migration("segmentation", name)
    with connection.cursor() as cursor:
        # PostgreSQL does not alter a table with pending checks of foreign keys.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.schema_editor(atomic=False) as editor:
        change = migration.unapply if backwards else migration.apply
        change(loader.project_state(("segmentation", after)), editor)


@pytest.mark.slow
def test_norms_that_an_earlier_release_kept_stay_as_they_are(course):
    earlier, changed = "0008_signals_by_identity", "0009_norms_by_name"
    run_migration(changed, after=earlier, backwards=True)
    before = models_of(earlier).get_model("segmentation", "Norms")
    old = {"module_medians": {"7": 3600.5}, "paces": [0.25, 1.0], "completed_items": [3, 4]}
    before.objects.create(course_id=course.pk, day=TODAY, computed_at=NOW, **old)
    before.objects.create(course_id=course.pk, day=TODAY - DAY, computed_at=NOW)
    run_migration(changed, after=earlier)
    after = models_of(changed).get_model("segmentation", "Norms")
    empty = {"module_medians": {}, "paces": [], "completed_items": []}
    assert after.objects.get(day=TODAY).figures == old
    assert after.objects.get(day=TODAY - DAY).figures == empty
    run_migration(changed, after=earlier, backwards=True)
    assert before.objects.filter(day=TODAY, **old).exists()


@pytest.mark.django_db(transaction=True)
def test_norms_that_are_being_computed_are_renewed_afterwards():
    course = make_course(time_zone="UTC")
    module, learners = make_item(course, "module"), [make_enrollment(course) for _ in range(2)]
    computed, may_commit = Event(), Event()

    def evaluate_slowly() -> None:
        with transaction.atomic():
            ensure_norms(course.pk, TODAY, now=NOW)
            computed.set()
            assert may_commit.wait(SECONDS_TO_FINISH)
        connection.close()

    worker = Thread(target=evaluate_slowly)
    worker.start()
    assert computed.wait(SECONDS_TO_FINISH)
    finish(learners[0], module, hours=1)
    renew_norms(now=NOW)
    assert PastChange.objects.exists(), "nobody may forget that there is something to renew"
    may_commit.set()
    worker.join()
    assert stored_norms(course.pk, TODAY) != compute_norms(course.pk, TODAY)
    renew_norms(now=NOW)
    assert stored_norms(course.pk, TODAY) == compute_norms(course.pk, TODAY)
    assert not PastChange.objects.exists()
