"""Each fault of an event is refused with its own sentence."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from activity.canonical import Reason, Refused, read_event
from activity.models import RejectedReason
from activity.payloads import storable

NOW = datetime(2025, 9, 30, 12, 0, tzinfo=UTC)
GOOD = {
    "course": "c",
    "learner": "ana",
    "verb": "ATTEMPT_QUIZ",
    "item": "quiz-1",
    "occurred_at": "2025-09-30T11:00:00+00:00",
    "source": "lms",
    "source_id": "1",
}


def nested(levels: int, *, key: str | None = "a") -> dict[str, object]:
    """Return properties with this number of levels: nested objects, or lists in an object."""
    inner: object = "inmost"
    for _ in range(levels - 1):
        inner = [inner] if key is None else {key: inner}
    return {"a": inner}


def refusal(**changes: object) -> Refused:
    """Return the refusal of a valid event after the changes. The value ... removes a field."""
    event = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    with pytest.raises(Refused) as caught:
        read_event(event, now=NOW)
    return caught.value


FAULTS = {
    "no course": ({"course": ...}, "The field course is missing."),
    "no learner": ({"learner": None}, "The field learner is missing."),
    "no verb": ({"verb": ...}, "The field verb is missing."),
    "no source": ({"source": ...}, "The field source is missing."),
    "no source_id": ({"source_id": ...}, "The field source_id is missing."),
    "empty key": ({"learner": "  "}, "learner is empty."),
    "fraction as key": ({"learner": 7.5}, "learner must be text, but is a number."),
    "truth as key": ({"verb": True}, "verb must be text, but is true or false."),
    "list as key": ({"item": ["quiz-1"]}, "item must be text, but is a list."),
    "bytes as key": ({"item": b"q"}, "item must be text, but is of type bytes."),
    "NUL": ({"learner": "a\0b"}, "learner contains a NUL character, which cannot be stored."),
    "surrogate": ({"item": "\ud800"}, "item contains half a character, which cannot be stored."),
    "10 MB": (
        {"learner": "x" * 10**7},
        "learner has 10,000,000 characters; at most 200 are allowed.",
    ),
    "typo": ({"scor": 0.5}, "The field 'scor' is unknown."),
    "count 0": ({"count": 0}, "count is '0'; it must be between 1 and 1,000,000."),
    "count huge": (
        {"count": 2**40},
        "count is '1099511627776'; it must be between 1 and 1,000,000.",
    ),
    "count true": ({"count": True}, "count must be a whole number, but is true or false."),
    "count float": ({"count": 1.0}, "count must be a whole number, but is a number."),
    "count null": ({"count": None}, "count must be a whole number, but is null."),
    "score text": ({"score": "0.5"}, "score must be a number, but is text."),
    "score true": ({"score": True}, "score must be a number, but is true or false."),
    "passed 1": ({"passed": 1}, "passed must be true or false, but is a number."),
    "total with score": (
        {"count": 3, "score": 0.5},
        "count is 3: score and passed are allowed only with a count of 1.",
    ),
    "total with passed": (
        {"count": 2, "passed": False},
        "count is 2: score and passed are allowed only with a count of 1.",
    ),
    "value infinite": (
        {"value": float("inf")},
        "value is 'inf'; it must be a number below a hundred trillion.",
    ),
    "value huge": ({"value": 10**5000}, "value is 'a number of 16610 bits'; it must be a number"),
    "value true": ({"value": False}, "value must be a number, but is true or false."),
    "properties list": ({"properties": [1]}, "properties must be an object, but is a list."),
    "properties zero": ({"properties": 0}, "properties must be an object, but is a number."),
    "properties NUL": (
        {"properties": {"a": "b\0"}},
        "properties contain a NUL character, which cannot be stored.",
    ),
    "properties half": (
        {"properties": {"a": "\udfff"}},
        "properties contains half a character, which cannot be stored.",
    ),
    "properties NaN": ({"properties": {"a": float("nan")}}, "properties cannot be written as JSON"),
    "properties of 51 levels": (
        {"properties": nested(51)},
        "properties are nested too deeply: at most 50 levels are allowed.",
    ),
    "properties of 51 levels of lists": (
        {"properties": nested(51, key=None)},
        "properties are nested too deeply: at most 50 levels are allowed.",
    ),
    "properties of 100,000 levels": (
        {"properties": nested(100_000)},
        "properties are nested too deeply: at most 50 levels are allowed.",
    ),
    "properties set": ({"properties": {"a": {1}}}, "properties cannot be written as JSON"),
    "properties big": (
        {"properties": {"a": "x" * 10**6}},
        "properties have 1,000,009 characters; at most 1,000,000 are allowed.",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), FAULTS.values(), ids=FAULTS)
def test_bad_field_is_refused_with_a_sentence(changes, sentence):
    refused = refusal(**changes)
    assert refused.reason == Reason.BAD_FIELD
    assert refused.message.startswith(sentence)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1e300])
def test_score_that_is_not_a_number_is_refused(score):
    refused = refusal(score=score)
    assert refused.reason == Reason.BAD_SCORE
    assert refused.message == f"score is '{score}'; it must be a number."


@pytest.mark.parametrize(("score", "cut"), [(1.7, 1), (-0.1, 0), (1.0000001, 1)])
def test_score_out_of_range_is_cut_and_the_sent_score_is_kept(score, cut):
    event = read_event(GOOD | {"score": score}, now=NOW)
    assert (event.score, event.sent_score) == (cut, score)


TIMES = {
    "missing": (..., "The field occurred_at is missing."),
    "without offset": (
        "2025-09-30T11:00:00",
        "occurred_at: '2025-09-30T11:00:00' has no offset: add one, as in",
    ),
    "naive": (datetime(2025, 9, 30), "occurred_at: '2025-09-30T00:00:00' has no offset"),  # noqa: DTZ001
    "a date": ("2025-09-30", "occurred_at: '2025-09-30' has no offset"),
    "unreadable": ("yesterday", "occurred_at: 'yesterday' is not a time: write it like"),
    "with a NUL": ("\0", "occurred_at: '\N{REPLACEMENT CHARACTER}' is not a time"),
    "a number": (1759230000, "occurred_at must be text, but is a number."),
    "year 1": (
        "0001-01-01T00:00:00+01:00",
        "occurred_at: '0001-01-01T00:00:00+01:00' is outside the years 1900 to 2199.",
    ),
    "year 9999": ("9999-12-31T23:59:59-01:00", "occurred_at: '9999-12-31T23:59:59-01:00' is out"),
    "before 1900": ("1899-12-31T23:59:59Z", "occurred_at: '1899-12-31T23:59:59Z' is outside"),
}


@pytest.mark.parametrize(("value", "sentence"), TIMES.values(), ids=TIMES)
def test_bad_time_is_refused_with_a_sentence(value, sentence):
    refused = refusal(occurred_at=value)
    assert refused.reason == Reason.BAD_TIME
    assert refused.message.startswith(sentence)


def test_three_minutes_ahead_is_early_and_says_when_it_can_be_stored():
    at = NOW + timedelta(minutes=3)
    refused = refusal(occurred_at=at)
    assert (refused.reason, refused.replay_at) == (Reason.EARLY, at)
    assert refused.message == (
        "occurred_at 2025-09-30T12:03:00+00:00 is 3 min ahead of now: it is kept now and"
        " stored automatically when its time has come."
    )


def test_an_hour_ahead_is_refused_for_good():
    refused = refusal(occurred_at=NOW + timedelta(hours=1))
    assert (refused.reason, refused.replay_at) == (Reason.FUTURE, None)
    assert refused.message.endswith("is 60 min ahead of now; at most 5 minutes are allowed.")


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (timedelta(minutes=119), "is 119 min ahead"),
        (timedelta(hours=2), "is 2 hours ahead"),
        (timedelta(hours=47), "is 47 hours ahead"),
        (timedelta(days=2), "is 2 days ahead"),
        (timedelta(minutes=2_161_258), "is 1,500 days ahead"),
    ],
)
def test_message_gives_the_time_ahead_in_a_suitable_unit(ahead, words):
    assert words in refusal(occurred_at=NOW + ahead).message


@pytest.mark.parametrize(
    ("ahead", "reason"),
    [
        (timedelta(microseconds=1), Reason.EARLY),
        (timedelta(minutes=5), Reason.EARLY),
        (timedelta(minutes=5, microseconds=1), Reason.FUTURE),
    ],
)
def test_the_limits_of_early_are_exact(ahead, reason):
    assert refusal(occurred_at=NOW + ahead).reason == reason


def test_event_of_the_current_instant_is_accepted():
    assert read_event({**GOOD, "occurred_at": NOW}, now=NOW).occurred_at == NOW


@pytest.mark.parametrize("raw", [None, [], "event", 7, True])
def test_event_that_is_not_an_object_is_refused(raw):
    with pytest.raises(Refused, match="An event must be an object"):
        read_event(raw, now=NOW)


def test_a_good_event_is_read_with_its_types():
    event = read_event(
        {**GOOD, "score": 0.1, "value": 12, "properties": {"Ä": [1, None]}, "item": None}, now=NOW
    )
    assert event.score == Decimal("0.100000")
    assert event.value == Decimal("12.000000")
    assert event.properties == '{"Ä": [1, null]}'
    assert (event.total, event.item, event.passed) == (1, None, None)


@pytest.mark.parametrize("properties", [nested(50), nested(50, key=None)], ids=["dict", "list"])
def test_properties_of_50_levels_are_accepted_and_kept_complete(properties):
    event = {**GOOD, "properties": properties}
    assert json.loads(read_event(event, now=NOW).properties) == properties
    # In the form that is stored while the event waits for its instant.
    assert storable(event) == event


def test_an_instant_in_another_zone_is_the_same_instant():
    there = datetime(2025, 9, 30, 13, 0, tzinfo=timezone(timedelta(hours=2)))
    assert read_event({**GOOD, "occurred_at": there}, now=NOW).occurred_at == NOW - timedelta(
        hours=1
    )


def test_escaped_backslash_before_u0000_is_not_a_nul():
    event = read_event({**GOOD, "properties": {"a": "\\u0000"}}, now=NOW)
    assert event.properties == '{"a": "\\\\u0000"}'


def test_the_reasons_are_those_of_the_model():
    assert {str(reason) for reason in Reason} == set(RejectedReason.values)
