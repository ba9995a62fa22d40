"""The read models agree with a rebuild and with the oracle for any order of arrival."""

from copy import copy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity.models import DailyActivity, Enrollment, Event, Progress, Verb
from activity.operations import ingest, rebuild_read_models, save_course, save_item
from activity.read_models import (
    DAILY_COLUMNS,
    PROGRESS_COLUMNS,
    daily_activity_select,
    progress_select,
)
from tests.activity import oracle
from tests.activity.oracle import Done, Thing
from tests.examples import examples
from tests.factories import NOW, act, make_cast, make_course, make_enrollment, make_event, make_item

pytestmark = pytest.mark.django_db

# Few values of everything, so that a short log hits most rows more than once.
ITEMS = {
    "module-1": Thing("module"),
    "quiz-1": Thing("quiz", "module-1"),
    "essay-1": Thing("assignment", "module-1"),
    "page-1": Thing("page", "module-1"),
    "loose": Thing("video"),
}
LEARNERS = ("ana", "bo")
VERBS = (*oracle.COUNTED, *["ATTEMPT_QUIZ"] * 3, "COMPLETE_ITEM", "COMPLETE_MODULE", "PURCHASE")
VERBS += ("EMAIL_SENT", "UNSUBSCRIBED", "WAVED", "NOTED")
# Few instants, close to midnights and to the clock change of 26 October 2025: ties and edges.
INSTANTS = [
    datetime(2025, 10, 25, 22, 59, 59, tzinfo=UTC),
    datetime(2025, 10, 25, 23, 0, tzinfo=UTC),
    datetime(2025, 10, 26, 0, 30, tzinfo=UTC),
    datetime(2025, 10, 26, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2025, 10, 27, 0, 0, tzinfo=UTC),
]
AFTER = datetime(2025, 11, 1, tzinfo=UTC)


@st.composite
def events(draw):
    """Draw an event of any verb. It has a score, a score with passed, or neither."""
    score = draw(st.none() | st.sampled_from(["0", "0.3", "0.4", "0.400001", "1"]).map(Decimal))
    passed = draw(st.none() | st.booleans())
    total = 1 if (score, passed) != (None, None) else draw(st.sampled_from([1, 1, 2, 7]))
    return Done(
        learner=draw(st.sampled_from(LEARNERS)),
        item=draw(st.sampled_from([None, *ITEMS, *["quiz-1"] * 3])),
        verb=draw(st.sampled_from(VERBS)),
        at=draw(st.sampled_from(INSTANTS)),
        count=total,
        score=score,
        passed=passed,
    )


@st.composite
def deliveries(draw):
    """Draw a log and the batches in which it arrives: in any order, with repetitions."""
    log = draw(st.lists(events(), min_size=1, max_size=30))
    numbered = list(enumerate(log))
    again = draw(st.lists(st.sampled_from(numbered), max_size=8))
    sent = draw(st.permutations(numbered + again))
    cuts = sorted(draw(st.lists(st.integers(1, len(sent)), min_size=1, max_size=4)))
    edges = [0, *cuts, len(sent)]
    return log, [sent[a:b] for a, b in pairwise(edges)]


def make_world():
    """Create a course with ITEMS and LEARNERS, and return its enrollments by learner."""
    course = make_course(pass_mark="0.4")
    rows = {}
    for key, thing in ITEMS.items():
        rows[key] = make_item(course, thing.kind, key=key, parent=rows.get(thing.module))
    Verb.objects.get_or_create(name="WAVED", is_act=True)
    Verb.objects.get_or_create(name="NOTED", is_act=False)
    return {name: make_enrollment(course) for name in LEARNERS}


def sent_as(number, event, enrollment):
    """Return the event as it is sent."""
    return make_event(
        enrollment,
        event.verb,
        item=event.item,
        occurred_at=event.at.isoformat(),
        count=event.count,
        score=None if event.score is None else float(event.score),
        passed=event.passed,
        source_id=f"{enrollment.course.key}-{number}",
    )


def with_passed(event):
    """Return the event as it is stored: passed as sent, or by the pass mark."""
    if event.passed is not None or event.score is None:
        return event
    return Done(**{**vars(event), "passed": event.score >= Decimal("0.4")})


def stored_daily(enrollments):
    """Return the daily rows by learner and day."""
    names = {enrollment.pk: name for name, enrollment in enrollments.items()}
    rows = DailyActivity.objects.filter(enrollment__in=names).values()
    return {(names[row["enrollment_id"]], row["day"]): row for row in rows}


def stored_progress(enrollments):
    """Return the progress rows by learner and item."""
    names = {enrollment.pk: name for name, enrollment in enrollments.items()}
    rows = Progress.objects.filter(enrollment__in=names).values(*PROGRESS_COLUMNS, "item__key")
    return {(names[row["enrollment_id"]], row["item__key"]): row for row in rows}


def without_ids(rows):
    """Return the rows without their ids, which a rebuild changes."""
    return {key: {name: row[name] for name in row if name != "id"} for key, row in rows.items()}


@pytest.mark.slow
@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(deliveries())
def test_any_order_repetition_batching_and_lateness_agree_with_rebuild_and_oracle(delivery):
    log, batches = delivery
    enrollments = make_world()
    stored = 0
    for batch in batches:
        sent = [sent_as(number, event, enrollments[event.learner]) for number, event in batch]
        result = ingest(sent, now=AFTER)
        assert result.rejected == []
        stored += result.stored
    assert stored == len(log)

    live = without_ids(stored_daily(enrollments)), without_ids(stored_progress(enrollments))
    last = {e.pk: e.last_event_at for e in Enrollment.objects.all()}
    rebuild_read_models(course_id=enrollments["ana"].course_id)
    rebuilt = without_ids(stored_daily(enrollments)), without_ids(stored_progress(enrollments))
    assert live == rebuilt
    assert last == {e.pk: e.last_event_at for e in Enrollment.objects.all()}

    kept = [with_passed(event) for event in log]
    daily = oracle.daily_activity(kept, zone="Europe/London", registered_no_acts={"NOTED"})
    assert set(live[0]) == set(daily)
    for key, row in live[0].items():
        counters = {name: row[name] for name in DAILY_COLUMNS[2:]}
        assert counters == {name: daily[key].get(name, 0) for name in counters}
    assert set(live[1]) == set(
        expected := oracle.progress(kept, items=ITEMS, registered_no_acts={"NOTED"})
    )
    for key, row in live[1].items():
        assert {name: row[name] for name in expected[key]} == expected[key]


def test_act_touches_the_module_and_completes_only_the_named_item():
    cast = make_cast()
    rows = {row.item: row for row in Progress.objects.filter(enrollment=cast.ana)}
    assert rows[cast.quizzes[0]].first_completed_at == datetime(2025, 9, 8, 13, 0, tzinfo=UTC)
    assert rows[cast.videos[0]].first_completed_at is None
    module = rows[cast.modules[0]]
    assert module.first_touched_at == datetime(2025, 9, 8, 12, 0, tzinfo=UTC)
    assert module.first_completed_at == datetime(2025, 9, 8, 14, 0, tzinfo=UTC)
    assert (module.attempts, module.best_score) == (0, None)


def test_day_is_in_the_zone_of_the_course_and_not_in_utc():
    enrollment = make_enrollment()
    act(enrollment, occurred_at=datetime(2025, 9, 9, 23, 30, tzinfo=UTC))
    assert DailyActivity.objects.get().day == date(2025, 9, 10)


def test_of_two_scores_at_the_same_instant_the_higher_is_the_last():
    enrollment = make_enrollment()
    quiz = make_item(enrollment.course, "quiz")
    for score in (0.9, 0.2):
        act(enrollment, "ATTEMPT_QUIZ", item=quiz, score=score)
    assert Progress.objects.get().last_score == Decimal("0.9")


def test_absurd_totals_stop_at_the_limit_and_do_not_fail_the_batch():
    enrollment = make_enrollment()
    act(enrollment, "LOGIN", count=1_000_000)
    # As if two thousand more such totals had arrived.
    kept = Event.objects.get()
    more = [copy(kept) for _ in range(2_200)]
    for number, event in enumerate(more):
        event.pk, event.source_id = None, f"more-{number}"
    Event.objects.bulk_create(more)
    DailyActivity.objects.update(logins=2_147_000_000, acts=2_147_000_000)
    act(enrollment, "LOGIN", count=1_000_000)
    live = DailyActivity.objects.values().get()
    rebuild_read_models()
    rebuilt = DailyActivity.objects.values().get()
    assert live["logins"] == rebuilt["logins"] == 2_147_483_647


def test_passed_stays_as_it_was_at_ingest_when_the_pass_mark_changes():
    enrollment = make_enrollment(make_course(pass_mark="0.5"))
    quiz = make_item(enrollment.course, "quiz")
    act(enrollment, "ATTEMPT_QUIZ", item=quiz, score=0.6)
    save_course({"key": enrollment.course.key, "pass_mark": 0.8}, now=NOW)
    assert Event.objects.get().passed is True
    act(enrollment, "ATTEMPT_QUIZ", item=quiz, score=0.6)
    assert DailyActivity.objects.get().passed == 1


def test_changing_the_zone_rebuilds_the_course():
    enrollment = make_enrollment()
    act(enrollment, occurred_at=datetime(2025, 9, 9, 23, 30, tzinfo=UTC))
    save_course({"key": enrollment.course.key, "time_zone": "America/New_York"}, now=NOW)
    assert DailyActivity.objects.get().day == date(2025, 9, 9)


def test_changing_the_module_of_an_item_rebuilds_the_course():
    cast = make_cast()
    course, video = cast.course.key, cast.videos[0]
    save_item({"course": course, "key": video.key, "parent": cast.modules[1].key}, now=NOW)
    touched = Progress.objects.filter(enrollment=cast.bo).values_list("item__key", flat=True)
    assert set(touched) == {video.key, cast.modules[1].key}


def test_selects_work_on_any_relation_with_the_columns_of_the_log(django_cursor):
    cast = make_cast()
    cut = "(SELECT * FROM activity_event WHERE occurred_at < '2025-09-09')"
    for select, columns in (
        (daily_activity_select(cut), DAILY_COLUMNS),
        (progress_select(cut), PROGRESS_COLUMNS),
    ):
        django_cursor.execute(select)
        assert tuple(column.name for column in django_cursor.description) == columns
        ids = {row[0] for row in django_cursor.fetchall()}
        assert ids == {cast.ana.pk, cast.bo.pk}


def test_rebuilding_one_course_does_not_change_others():
    one, other = make_enrollment(), make_enrollment()
    for enrollment in (one, other):
        act(enrollment)
    DailyActivity.objects.update(acts=99)
    assert rebuild_read_models(course_id=one.course_id) == 1
    assert dict(DailyActivity.objects.values_list("enrollment_id", "acts")) == {
        one.pk: 1,
        other.pk: 99,
    }


def test_rebuild_clears_the_last_event_of_an_enrollment_without_events():
    enrollment = make_enrollment(last_event_at=NOW - timedelta(days=1))
    rebuild_read_models()
    enrollment.refresh_from_db()
    assert enrollment.last_event_at is None
