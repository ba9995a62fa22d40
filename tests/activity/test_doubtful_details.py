"""A doubtful detail does not reject a row: it is imported, and the detail is listed."""

import json
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity.models import DailyActivity, Enrollment, Event, Learner, Progress, RejectedEvent
from activity.operations import correct_events, ingest, rebuild_read_models, replay_rejected
from activity.operations.jsonl import import_jsonl
from tests.examples import examples
from tests.factories import NOW, make_course, make_enrollment, make_event, make_item, make_learner

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=1)
UNUSABLE = ["a..b@docomo.ne.jp", "j\u00f6rg@example.org", "student@intranet", "not set"]


def attempt(enrollment, quiz, **fields):
    """Return an attempt with the same identity each time, changed by the fields."""
    fields = {"verb": "ATTEMPT_QUIZ", "source_id": "one", "item": quiz, **fields}
    return make_event(enrollment, **fields)


@pytest.fixture
def quiz():
    return make_item(make_course(pass_mark="0.5"), "quiz")


@pytest.fixture
def enrollment(quiz):
    return make_enrollment(quiz.course)


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.mark.parametrize(
    ("sent", "score", "passed"),
    [(1.05, 1, True), (1.0000000000000002, 1, True), (-0.1, 0, False), (85, 1, True)],
)
def test_score_outside_0_to_1_is_cut_and_the_attempt_counts(enrollment, quiz, sent, score, passed):
    result = ingest([attempt(enrollment, quiz, score=sent)], now=NOW)
    assert (result.stored, result.rejected) == (1, [])
    assert result.remarks[0].message == f"score {sent:g} is outside 0 to 1 and counts as {score}."
    event = Event.objects.get()
    assert (event.score, event.passed, event.sent_score) == (score, passed, sent)
    day = DailyActivity.objects.get()
    assert (day.attempts, day.scored, day.score_sum) == (1, 1, score)


@pytest.mark.parametrize("sent", [0, 0.4, 1, True, None])
def test_score_in_range_has_no_sent_score(enrollment, quiz, sent):
    fields = {"passed": sent} if sent is True else {"score": sent}
    result = ingest([attempt(enrollment, quiz, **fields)], now=NOW)
    assert (result.stored, result.remarks) == (1, [])
    assert Event.objects.get().sent_score is None


@pytest.mark.parametrize("sent", [float("nan"), float("inf"), 10**400, 1e300])
def test_score_that_is_no_number_is_still_refused(enrollment, quiz, sent):
    result = ingest([attempt(enrollment, quiz, score=sent)], now=NOW)
    assert [each.reason for each in result.rejected] == ["bad_score"]
    assert result.rejected[0].message.endswith("it must be a number.")


def test_cut_scores_are_listed_for_staff(staff, enrollment, quiz):
    ingest([attempt(enrollment, quiz, score=1.05)], now=NOW)
    ingest([attempt(enrollment, quiz, score=0.4, source_id="two")], now=NOW)
    page = staff.get(reverse("admin:activity_event_changelist") + "?sent_score__isempty=0")
    assert [event.source_id for event in page.context["cl"].result_list] == ["one"]


@pytest.mark.parametrize("address", UNUSABLE)
def test_learner_with_an_unusable_address_is_imported_with_enrollment_and_events(address):
    rows = [
        {"type": "course", "key": "c", "starts_on": "2025-09-01", "ends_on": "2025-10-26"},
        {"type": "learner", "external_id": "ana", "name": "Ana\tMaria", "email": address},
        {"type": "enrollment", "course": "c", "learner": "ana"},
        {
            "type": "event",
            "course": "c",
            "learner": "ana",
            "verb": "LOGIN",
            "occurred_at": "2025-09-10T10:00:00Z",
            "source": "lms",
            "source_id": "1",
        },
    ]
    result = import_jsonl([json.dumps(row).encode() for row in rows], now=NOW)
    assert (result.faults, result.stored) == ([], 1)
    learner = Learner.objects.get()
    assert (learner.email, learner.unusable_email, learner.name) == (None, address, "Ana Maria")
    assert {remark.line for remark in result.remarks} == {2}
    said = sorted(remark.message for remark in result.remarks)
    assert said[0].startswith(f"email: no mail can be sent to '{address}'")
    assert said[1] == "name: 'Ana\tMaria' is stored as 'Ana Maria'."


def test_usable_address_takes_the_place_of_an_unusable_one():
    line = {"type": "learner", "external_id": "ana"}
    for address in ("not set", " ana@example.org ", "student@intranet", None):
        import_jsonl([json.dumps({**line, "email": address}).encode()], now=NOW)
        learner = Learner.objects.get()
        usable = address is not None and "example" in address
        assert learner.email == ("ana@example.org" if usable else None)
        assert learner.unusable_email == ("" if usable or address is None else address)


def test_name_is_one_line_and_fits(tmp_path):
    row = {"type": "learner", "external_id": "a", "name": "Bo\r\nBcc: all@example.org" + "x" * 300}
    path = tmp_path / "roster.jsonl"
    path.write_text(json.dumps(row))
    out = StringIO()
    call_command("import_jsonl", path, stdout=out)
    assert Learner.objects.get().name.startswith("Bo Bcc: all@example.orgx")
    assert len(Learner.objects.get().name) == 200
    assert "1 details to check, in lines that were imported" in out.getvalue()


def test_corrected_address_is_no_longer_listed_as_unusable(staff):
    learner = make_learner(email=None, unusable_email="not set")
    lists = reverse("admin:activity_learner_changelist")
    listed = staff.get(f"{lists}?unusable_email__isempty=0").context["cl"].result_list
    assert list(listed) == [learner]
    page = reverse("admin:activity_learner_change", args=[learner.pk])
    data = {"external_id": learner.external_id, "name": "", "time_zone": "", "locale": ""}
    answer = staff.post(page, {**data, "email": "a@example.org", "traits": "{}"})
    assert answer.status_code == 302
    learner.refresh_from_db()
    assert (learner.email, learner.unusable_email) == ("a@example.org", "")


def test_later_grade_is_applied_once(enrollment, quiz):
    ingest([attempt(enrollment, quiz)], now=NOW)
    for _ in range(2):
        result = ingest([attempt(enrollment, quiz, score=0.9)], now=LATER)
        assert (result.stored, result.repeated, result.remarks) == (0, 1, [])
    event = Event.objects.get()
    assert (event.score, event.passed) == (Decimal("0.9"), True)
    assert (event.received_at, event.corrected_at) == (NOW, LATER)
    assert Progress.objects.get(item=quiz).best_score == Decimal("0.9")
    day = DailyActivity.objects.get()
    assert (day.attempts, day.scored, day.passed) == (1, 1, 1)
    assert RejectedEvent.objects.count() == 0


def test_repeat_without_a_grade_keeps_the_grade(enrollment, quiz):
    for score in (0.9, None):
        ingest([attempt(enrollment, quiz, score=score)], now=NOW)
    assert Event.objects.get().score == Decimal("0.9")
    assert RejectedEvent.objects.count() == 0


DIFFERENT = {
    "score": {"score": 0.2},
    "passed": {"passed": False},
    "verb": {"verb": "SUBMIT_ASSIGNMENT"},
    "occurred_at": {"occurred_at": NOW - timedelta(hours=3)},
    "value": {"value": 3},
    "item": {"item": None},
}


@pytest.mark.parametrize(("name", "change"), DIFFERENT.items(), ids=DIFFERENT)
def test_other_content_is_counted_once_and_listed(enrollment, quiz, name, change):
    ingest([attempt(enrollment, quiz, score=0.9)], now=NOW)
    before = Event.objects.values().get()
    for _ in range(2):
        result = ingest([attempt(enrollment, quiz, **{"score": 0.9, **change})], now=LATER)
        assert (result.repeated, result.rejected) == (1, [])
        assert [remark.reason for remark in result.remarks] == ["conflict"]
        assert f"with another {name}" in result.remarks[0].message
    assert Event.objects.values().get() == before
    kept = RejectedEvent.objects.get()
    assert (kept.reason, kept.replayed_at) == ("conflict", None)
    assert replay_rejected(now=LATER, ids=[kept.pk]).stored == 0
    assert RejectedEvent.objects.get().replayed_at is None


def test_event_sent_again_with_other_times_is_listed_once_with_its_newest_content(enrollment, quiz):
    ingest([attempt(enrollment, quiz, score=0.2)], now=NOW)
    for seconds in (1, 2, 3):
        later = NOW - timedelta(hours=1) + timedelta(seconds=seconds)
        ingest([attempt(enrollment, quiz, score=0.2, occurred_at=later)], now=NOW)
    assert RejectedEvent.objects.get().payload["occurred_at"] == later.isoformat()


def test_event_of_another_learner_under_a_known_id_is_a_conflict(enrollment, quiz):
    other = make_enrollment(quiz.course)
    ingest([attempt(enrollment, quiz)], now=NOW)
    result = ingest([attempt(other, quiz, score=0.9)], now=LATER)
    assert "with another learner or course" in result.remarks[0].message
    assert correct_events([RejectedEvent.objects.get().pk], now=LATER) == 0
    assert Event.objects.get().score is None


def test_staff_replace_a_stored_grade_by_a_changed_one(staff, enrollment, quiz):
    ingest([attempt(enrollment, quiz, score=0.2)], now=NOW)
    ingest([attempt(enrollment, quiz, score=0.9)], now=LATER)
    page = reverse("admin:activity_rejectedevent_changelist")
    chosen = {"action": "correct", "_selected_action": [RejectedEvent.objects.get().pk]}
    answer = staff.post(page, chosen, follow=True)
    assert "1 corrected, 0 not changed." in answer.content.decode()
    event = Event.objects.get()
    assert (event.score, event.passed) == (Decimal("0.9"), True)
    assert event.corrected_at is not None
    assert Progress.objects.get(item=quiz).last_score == Decimal("0.9")
    assert RejectedEvent.objects.get().replayed_at is not None
    assert ingest([attempt(enrollment, quiz, score=0.9)], now=LATER).remarks == []


def read_models():
    return [list(model.objects.order_by("pk").values()) for model in (DailyActivity, Progress)]


def without_keys(models):
    return [sorted(str({**row, "id": 0}) for row in rows) for rows in models]


SENDINGS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([None, 0.2, 0.9, 1.5])), max_size=8
)


@pytest.mark.slow
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sendings=SENDINGS, size=st.integers(1, 4))
def test_read_models_equal_a_rebuild_after_any_grades_and_conflicts(
    enrollment, quiz, sendings, size
):
    Event.objects.all().delete()
    RejectedEvent.objects.all().delete()
    rebuild_read_models()
    at = NOW
    events = [attempt(enrollment, quiz, source_id=key, score=score) for key, score in sendings]
    for start in range(0, len(events), size):
        at += timedelta(minutes=1)
        ingest(events[start : start + size], now=at)
    correct_events(RejectedEvent.objects.values_list("pk", flat=True)[:1], now=at)
    live = without_keys(read_models())
    rebuild_read_models()
    assert live == without_keys(read_models())
    assert Event.objects.count() == len({key for key, _ in sendings})
    assert Enrollment.objects.get().last_event_at == (NOW - timedelta(hours=1) if events else None)


@pytest.mark.parametrize("order", [[None, 0.9], [0.9, None]])
@pytest.mark.parametrize("together", [True, False])
def test_event_with_and_without_grade_may_arrive_in_any_order(enrollment, quiz, order, together):
    events = [attempt(enrollment, quiz, score=score) for score in order]
    for batch in [events] if together else [[event] for event in events]:
        ingest(batch, now=NOW)
    assert Event.objects.get().score == Decimal("0.9")
    assert DailyActivity.objects.get().score_sum == Decimal("0.9")
