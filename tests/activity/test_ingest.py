"""Ingest: stored events, refused events, early events, and their effects."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity.models import (
    DailyActivity,
    Due,
    DueCause,
    Event,
    Progress,
    RejectedEvent,
    Verb,
)
from activity.operations import ingest, replay_rejected, save_enrollment
from activity.verbs import BUILT_IN
from tests.activity.test_canonical import nested
from tests.examples import examples
from tests.factories import (
    NOW,
    make_course,
    make_enrollment,
    make_event,
    make_item,
    make_learner,
)

KNOWN_VERBS = f"built in are {', '.join(BUILT_IN)}; an admin can register others under Verbs."
pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=3)


def reasons(result):
    """Return the place and reason of each rejected event."""
    return [(rejection.index, rejection.reason) for rejection in result.rejected]


def test_event_is_stored_with_all_its_fields():
    enrollment = make_enrollment(make_course(pass_mark="0.4"))
    quiz = make_item(enrollment.course, "quiz")
    event = make_event(
        enrollment,
        "ATTEMPT_QUIZ",
        item=quiz,
        score=0.4,
        value=2.5,
        properties={"try": 1, "von": "Bö"},
        occurred_at="2025-09-10T10:00:00.123456+02:00",
    )
    assert ingest([event], now=NOW).stored == 1
    stored = Event.objects.get()
    assert (stored.enrollment, stored.item, stored.verb) == (enrollment, quiz, "ATTEMPT_QUIZ")
    assert stored.occurred_at == datetime(2025, 9, 10, 8, 0, 0, 123456, tzinfo=UTC)
    assert stored.received_at == NOW
    assert (stored.score, stored.passed, stored.count) == (Decimal("0.4"), True, 1)
    assert (stored.value, stored.properties) == (Decimal("2.5"), {"try": 1, "von": "Bö"})


@pytest.mark.parametrize(
    ("score", "sent", "kept"),
    [
        (0.5, None, True),
        (0.499999, None, False),
        (0.9, False, False),
        (None, True, True),
        (None, None, None),
    ],
)
def test_passed_is_as_sent_or_by_the_pass_mark(score, sent, kept):
    enrollment = make_enrollment()
    ingest([make_event(enrollment, "ATTEMPT_QUIZ", score=score, passed=sent)], now=NOW)
    assert Event.objects.get().passed is kept


def test_unknown_key_is_refused_with_a_sentence_and_the_rest_is_stored():
    enrollment = make_enrollment(make_course(key="c"), make_learner(external_id="ana"))
    stranger = make_learner(external_id="stranger")
    batch = [
        make_event(enrollment),
        make_event(enrollment, course="nowhere"),
        make_event(enrollment, learner="nobody"),
        make_event(enrollment, learner=stranger.external_id),
        make_event(enrollment, item="nothing"),
        make_event(enrollment, "JUMPED"),
        make_event(enrollment, score=float("inf")),
        make_event(enrollment, occurred_at="2025-09-10T10:00:00"),
        make_event(enrollment, occurred_at=NOW + timedelta(hours=1)),
        make_event(enrollment),
    ]
    result = ingest(batch, now=NOW)
    assert (result.stored, result.repeated) == (2, 0)
    assert reasons(result) == [
        (1, "unknown_course"),
        (2, "unknown_learner"),
        (3, "unknown_learner"),
        (4, "unknown_item"),
        (5, "unknown_verb"),
        (6, "bad_score"),
        (7, "bad_time"),
        (8, "future"),
    ]
    assert [rejection.message for rejection in result.rejected[:6]] == [
        "Course 'nowhere' is unknown.",
        "Learner 'nobody' is unknown or not in course 'c'.",
        "Learner 'stranger' is unknown or not in course 'c'.",
        "Item 'nothing' is unknown in course 'c'.",
        f"Verb 'JUMPED' is unknown; {KNOWN_VERBS}",
        "score is 'inf'; it must be a number.",
    ]
    kept = RejectedEvent.objects.order_by("pk")
    assert {row.message for row in kept} == {r.message for r in result.rejected}
    assert all(row.replay_at is None for row in kept)


def test_an_item_of_another_course_is_unknown():
    enrollment = make_enrollment()
    elsewhere = make_item(make_course())
    assert reasons(ingest([make_event(enrollment, item=elsewhere)], now=NOW)) == [
        (0, "unknown_item")
    ]


def test_a_registered_verb_is_known_at_once():
    enrollment = make_enrollment()
    event = make_event(enrollment, "WAVED")
    assert ingest([event], now=NOW).stored == 0
    Verb.objects.create(name="WAVED")
    assert ingest([event], now=NOW).stored == 1
    assert DailyActivity.objects.get().acts == 1


def test_event_with_values_that_json_cannot_hold_is_kept_too():
    enrollment = make_enrollment()
    batch = [
        make_event(enrollment, learner="a\0b"),
        make_event(enrollment, learner="x" * 10_000_000),
        make_event(enrollment, score=float("nan")),
        make_event(enrollment, properties={"when": NOW, "what": {1, 2}}),
        make_event(enrollment, value=10**6000),
        make_event(enrollment, properties={"a": Decimal("NaN"), "b": "\ud800", 3: "\0"}),
        {(1, 2): "odd"},
        "no event",
        make_event(enrollment),
    ]
    result = ingest(batch, now=NOW)
    assert (result.stored, len(result.rejected)) == (1, 8)
    payloads = {row.reason: row.payload for row in RejectedEvent.objects.all()}
    assert RejectedEvent.objects.count() == 8
    assert payloads["bad_score"]["score"] == "nan"
    assert RejectedEvent.objects.filter(payload="no event").exists()


@pytest.mark.slow
def test_properties_nested_too_deeply_are_refused_and_the_rest_is_stored(admin_client):
    enrollment = make_enrollment()
    batch = [make_event(enrollment, properties=nested(n)) for n in (50, 51, 900, 100_000)]
    result = ingest(batch, now=NOW)
    assert (result.stored, reasons(result)) == (1, [(n, "bad_field") for n in (1, 2, 3)])
    assert Event.objects.get().properties == nested(50)
    # A second try is refused again: the shortened copy must not become a valid event.
    kept = list(RejectedEvent.objects.values_list("pk", flat=True))
    assert replay_rejected(now=NOW, ids=kept).stored == 0
    for row in (Event.objects.get(), *RejectedEvent.objects.all()):
        url = reverse(f"admin:activity_{row._meta.model_name}_change", args=[row.pk])
        assert admin_client.get(url).status_code == 200


def test_a_repeated_event_counts_once():
    enrollment = make_enrollment()
    event = make_event(enrollment, count=3)
    result = ingest([event, dict(event)], now=NOW)
    assert (result.stored, result.repeated) == (1, 1)
    result = ingest([event], now=LATER)
    assert (result.stored, result.repeated) == (0, 1)
    assert DailyActivity.objects.get().logins == 3


def test_the_same_id_from_another_source_is_another_event():
    enrollment = make_enrollment()
    one = make_event(enrollment)
    assert ingest([one, {**one, "source": "other"}], now=NOW).stored == 2


def test_the_same_refused_event_sent_again_is_one_row():
    enrollment = make_enrollment()
    event = make_event(enrollment, score=float("inf"))
    for _ in range(2):
        ingest([event, event], now=NOW)
    assert RejectedEvent.objects.count() == 1


def test_ingest_pulls_only_the_affected_enrollments():
    one, other = make_enrollment(due_at=LATER), make_enrollment(due_at=LATER)
    resting = make_enrollment(one.course, due_at=None)
    ingest([make_event(one), make_event(resting)], now=NOW)
    assert dict(Due.objects.values_list("enrollment_id", "due_at")) == {
        one.pk: NOW,
        other.pk: LATER,
        resting.pk: NOW,
    }
    assert Due.objects.get(pk=one.pk).cause == DueCause.EVENT


def test_ingest_keeps_the_latest_instant_of_all_events():
    enrollment = make_enrollment()
    for hours in (5, 1, 3):
        at = NOW - timedelta(hours=hours)
        ingest([make_event(enrollment, "EMAIL_SENT", occurred_at=at)], now=NOW)
    enrollment.refresh_from_db()
    assert enrollment.last_event_at == NOW - timedelta(hours=1)
    assert not DailyActivity.objects.exists()


def test_an_early_event_waits_for_its_instant():
    enrollment = make_enrollment()
    at = NOW + timedelta(minutes=3)
    event = make_event(enrollment, occurred_at=at)
    assert reasons(ingest([event], now=NOW)) == [(0, "early")]
    assert not Event.objects.exists()

    assert replay_rejected(now=at - timedelta(microseconds=1)).stored == 0
    assert replay_rejected(now=at).stored == 1
    assert replay_rejected(now=at + timedelta(hours=1)).stored == 0
    assert Event.objects.get().occurred_at == at
    assert RejectedEvent.objects.get().replayed_at == at


def test_early_event_that_is_sent_again_in_time_counts_once():
    enrollment = make_enrollment()
    at = NOW + timedelta(minutes=3)
    event = make_event(enrollment, occurred_at=at)
    ingest([event], now=NOW)
    ingest([event], now=at)
    result = replay_rejected(now=at)
    assert (result.stored, result.repeated) == (0, 1)
    assert RejectedEvent.objects.get().replayed_at == at
    assert DailyActivity.objects.get().logins == 1


def test_early_event_with_an_unknown_key_is_not_replayed_again_and_again():
    enrollment = make_enrollment()
    at = NOW + timedelta(minutes=3)
    ingest([make_event(enrollment, "JUMPED", occurred_at=at)], now=NOW)
    assert reasons(replay_rejected(now=at)) == [(0, "unknown_verb")]
    row = RejectedEvent.objects.get()
    assert (row.reason, row.replay_at, row.replayed_at) == ("unknown_verb", None, None)
    assert replay_rejected(now=LATER).rejected == []


def test_chosen_events_are_replayed_after_the_roster_is_corrected():
    enrollment = make_enrollment()
    late = make_learner(external_id="late")
    event = make_event(enrollment, learner="late", score=0.25, value=1.5, properties={"a": [1]})
    ingest([event, make_event(enrollment, count=0)], now=NOW)
    save_enrollment({"course": enrollment.course.key, "learner": late.external_id}, now=NOW)
    result = replay_rejected(now=LATER, ids=RejectedEvent.objects.values_list("pk", flat=True))
    assert (result.stored, len(result.rejected)) == (1, 1)
    assert Event.objects.get().properties == {"a": [1]}
    assert set(RejectedEvent.objects.values_list("reason", "replayed_at")) == {
        ("unknown_learner", LATER),
        ("bad_field", None),
    }


def test_ingest_of_nothing_does_nothing():
    result = ingest([], now=NOW)
    assert (result.stored, result.repeated, result.rejected) == (0, 0, [])


def test_number_of_queries_does_not_depend_on_the_batch_size(django_assert_num_queries):
    course = make_course()
    enrollments = [make_enrollment(course) for _ in range(30)]
    page = make_item(course)
    batch = [make_event(e, "VIEW_ITEM", item=page) for e in enrollments]
    # A savepoint, the courses, the pull and the end of the savepoint. The keys and the events
    # take three more queries in binary form, which Django does not count.
    with django_assert_num_queries(4):
        assert ingest(batch, now=NOW).stored == 30


def test_ingest_joins_the_transaction_of_its_caller():
    enrollment = make_enrollment(due_at=LATER)
    with transaction.atomic():
        ingest([make_event(enrollment)], now=NOW)
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert not Progress.objects.exists()
    assert Due.objects.get().due_at == LATER


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=3)
    | st.datetimes(timezones=st.just(UTC) | st.none()),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = ["course", "learner", "item", "verb", "occurred_at", "count", "score", "passed", "value"]
FIELDS += ["properties", "source", "source_id", "other"]


@pytest.mark.slow
@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.dictionaries(st.sampled_from(FIELDS), anything, max_size=3) | anything, max_size=4)
)
def test_random_garbage_does_not_block_the_valid_event_beside_it(garbage):
    enrollment = make_enrollment()
    good = make_event(enrollment)
    spoiled = [
        {**make_event(enrollment), **part} if isinstance(part, dict) else part for part in garbage
    ]
    before = Event.objects.count()
    result = ingest([*spoiled, good], now=NOW)
    assert result.stored + result.repeated + len(result.rejected) == len(spoiled) + 1
    assert Event.objects.filter(source_id=good["source_id"]).exists()
    assert Event.objects.count() == before + result.stored
    for row in RejectedEvent.objects.order_by("-pk")[:5]:
        json.dumps(row.payload)
