from datetime import UTC, datetime, timedelta

import pytest

from activity.models import Event
from segmentation.models import Membership, Norms, Playbook, Segment
from segmentation.norms import NormsValues, norms_of
from segmentation.queries import (
    compute_norms,
    current_segment_ids,
    export_refs,
    match_rule,
    norms_for,
    preview,
    read_signals,
    segment_sizes,
)
from segmentation.rules import parse
from segmentation.signals import SIGNALS_BY_NAME, Need, SignalRef, usual_refs
from tests.factories import NOW, act, make_cast, make_course, make_enrollment, make_item
from tests.segmentation.factories import identity

pytestmark = pytest.mark.django_db

PLAYED = parse({"field": "video_plays", "window": 30, "operator": ">=", "value": 1})
FAST = parse({"field": "pace_percentile", "operator": "<", "value": 0.5})
DAY = NOW.date()
USUAL = norms_of({Need.NORMS})


@pytest.fixture
def cast():
    return make_cast()


def make_segment(key="quiet", **fields):
    playbook, _ = Playbook.objects.get_or_create(key="playbook", name="Playbook")
    values = {"name": key, "rule": {}, "status": "active", "changed_revision": 1}
    return Segment.objects.create(playbook=playbook, key=key, **(values | fields))


def test_preview_gives_the_matches_and_the_number_in_scope(cast, django_assert_num_queries):
    make_enrollment(cast.course, withdrew_at=NOW)
    act(make_enrollment(), "PLAY_VIDEO")
    with django_assert_num_queries(1):
        found = preview(PLAYED, cast.course, as_of=NOW)
    names = [cast.ana.learner.external_id, cast.bo.learner.external_id]
    assert (found.matches, found.of, found.learners) == (2, 3, sorted(names))


def test_preview_of_a_past_instant_uses_the_data_of_that_time(cast):
    before = datetime(2025, 9, 8, 11, 59, 59, tzinfo=UTC)
    assert preview(PLAYED, cast.course, as_of=before).matches == 0
    assert preview(PLAYED, cast.course, as_of=before + timedelta(seconds=1)).matches == 2


def test_norms_are_read_only_if_a_rule_needs_them(cast, django_assert_num_queries):
    begun_at = NOW - timedelta(days=2)
    slower = make_enrollment(cast.course)
    act(slower, "VIEW_MODULE", item=cast.modules[0], occurred_at=begun_at)
    finished_at = begun_at + timedelta(hours=4)
    act(slower, "COMPLETE_MODULE", item=cast.modules[0], occurred_at=finished_at)
    with django_assert_num_queries(3):
        found = preview(FAST, cast.course, as_of=NOW)
    assert found.learners == [cast.ana.learner.external_id]
    assert not Norms.objects.exists()


def test_stored_norms_are_read_in_place_of_computing_them(cast, django_assert_num_queries):
    computed = compute_norms(cast.course.pk, DAY, USUAL)
    first, second = (module.pk for module in cast.modules)
    quizzes = [quiz.pk for quiz in cast.quizzes]
    assert computed == NormsValues({first: 7200.0, second: 7200.0}, [1.0], quizzes)
    Norms.objects.create(
        course=cast.course,
        day=DAY,
        figures={
            "module_medians": {str(first): 3600.0},
            "paces": [1.0, 1.5, 2.0, 2.0],
            "completed_items": quizzes[:1],
        },
        computed_at=NOW,
    )
    with django_assert_num_queries(1):
        stored = norms_for(cast.course.pk, DAY, USUAL)
    assert stored == NormsValues({first: 3600.0}, [1.0, 1.5, 2.0, 2.0], quizzes[:1])
    with django_assert_num_queries(2):
        (row,) = read_signals(
            cast.course,
            [condition.ref for condition in FAST.rules],
            as_of=NOW,
            enrollment_ids=[cast.ana.pk],
        )
    assert row.signals == {identity("pace_percentile"): 0.625}


def test_norm_counts_events_before_midnight_and_not_at_it():
    module = make_item(make_course(time_zone="UTC"), "module")
    learner = make_enrollment(module.course)
    act(learner, "COMPLETE_MODULE", item=module, occurred_at=datetime(2025, 9, 30, tzinfo=UTC))
    assert compute_norms(module.course_id, DAY) == NormsValues({}, [])
    assert compute_norms(module.course_id, DAY + timedelta(days=1)).paces == [1.0]


def test_a_rule_is_matched_over_courses_and_only_in_scope(cast, django_assert_num_queries):
    other = make_enrollment(make_course(time_zone="Asia/Kathmandu"))
    gone = make_enrollment(cast.course, withdrew_at=NOW)
    for enrollment in (other, gone):
        act(enrollment, "PLAY_VIDEO")
    ids = [cast.ana.pk, cast.cy.pk, other.pk, gone.pk]
    with django_assert_num_queries(4):
        assert match_rule(PLAYED, enrollment_ids=ids, as_of=NOW) == {cast.ana.pk, other.pk}


def test_empty_list_of_enrollments_needs_no_query_per_course(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert match_rule(PLAYED, enrollment_ids=[], as_of=NOW) == set()


def test_signals_come_in_enrollment_order_in_one_query(cast, django_assert_num_queries):
    refs = [ref for ref in usual_refs() if not {Need.NORMS, Need.SCORES} & ref.signal.needs]
    with django_assert_num_queries(1):
        rows = list(read_signals(cast.course, refs, as_of=NOW))
    assert [row.enrollment_id for row in rows] == [cast.ana.pk, cast.bo.pk, cast.cy.pk]
    assert list(rows[0].signals) == [ref.identity for ref in refs]


def test_an_export_has_the_usual_signals_and_those_of_the_courses_segments(cast):
    own = {"field": "trait", "key": "region", "operator": "=", "value": "Wales"}
    leave = {"field": "logins", "window": 3, "operator": ">", "value": 1}
    make_segment(rule=own, leave_rule=leave).playbook.courses.add(cast.course)
    make_segment("draft", rule=leave | {"window": 5}, status="draft")
    columns = [ref.column for ref in export_refs(cast.course)]
    assert columns == [*(ref.column for ref in usual_refs()), "trait_region", "logins_3"]
    assert len(export_refs(make_course())) == len(usual_refs())


def test_segment_sizes_and_segments_of_an_enrollment_are_returned(cast, django_assert_num_queries):
    quiet, busy, empty = (make_segment(key) for key in ("quiet", "busy", "empty"))
    for enrollment, segment in ((cast.ana, quiet), (cast.bo, quiet), (cast.ana, busy)):
        Membership.objects.create(enrollment=enrollment, segment=segment, entered_at=NOW, version=1)
    Membership.objects.create(
        enrollment=cast.ana, segment=empty, entered_at=NOW, left_at=NOW, version=1
    )
    with django_assert_num_queries(2):
        assert segment_sizes() == {quiet.pk: 2, busy.pk: 1}
        assert current_segment_ids(cast.ana.pk) == {quiet.pk, busy.pk}


def test_a_past_instant_reads_the_log_no_further_back_than_it_must():
    cast = make_cast()
    for one in (cast.ana, cast.bo):
        act(one, occurred_at=NOW)
    as_of = NOW - timedelta(days=1)
    refs = [
        SignalRef(SIGNALS_BY_NAME[name], window)
        for name, window in [
            ("active_days", 30),
            ("quiz_attempt_rate", 7),
            ("modules_stalled", 7),
            ("modules_completed", None),
            ("quiz_pass_rate", None),
            ("days_since_activity", None),
        ]
    ]
    before = list(read_signals(cast.course, refs, as_of=as_of))
    assert before[1].signals[identity("modules_stalled", 7)] == 1
    # Earlier data comes from the read models: whole days and first instants.
    Event.objects.filter(occurred_at__lt=as_of - timedelta(days=7)).delete()
    assert list(read_signals(cast.course, refs, as_of=as_of)) == before
