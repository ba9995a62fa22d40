"""Durations as people write them are parsed and shown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interventions.policy.durations import EXAMPLES, LONGEST, duration_in_words, parse_duration

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3 days", 3 * DAY),
        ("3d", 3 * DAY),
        ("2 h", 2 * HOUR),
        ("1 day 12 hours", 36 * HOUR),
        ("1 Day, 12 hours and 5 min", 36 * HOUR + 5 * MINUTE),
        ("1.5 days", 36 * HOUR),
        ("90 min", 90 * MINUTE),
        ("2 weeks", 14 * DAY),
        ("30 s", timedelta(seconds=30)),
        ("0", timedelta(0)),
        ("0 h", timedelta(0)),
        (" 3 days ", 3 * DAY),
    ],
)
def test_durations_are_parsed(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        *("3", "1.5", "00", "-1", "-3 days", "1:30", "7 00:00:00", "3 m", "3 months", "1,5 days"),
        *("days", "3 days ago", "", "P3D", "٣ days", "1 day " * 30),
    ],
)
def test_ambiguous_durations_are_refused_with_examples(text):
    with pytest.raises(ValueError, match=EXAMPLES):
        parse_duration(text)


def test_durations_longer_than_the_limit_are_refused():
    with pytest.raises(ValueError, match="longer than 3650 days"):
        parse_duration("9999999 weeks")


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(0), "0"),
        (DAY, "1 day"),
        (36 * HOUR, "1 day 12 hours"),
        (90 * MINUTE, "1 hour 30 minutes"),
        (timedelta(seconds=3), "3 seconds"),
        (timedelta(milliseconds=1250), "1.25 seconds"),
    ],
    ids=str,
)
def test_durations_are_shown_in_words(duration, words):
    assert duration_in_words(duration) == words


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_shown_durations_are_parsed_back(duration):
    assert parse_duration(duration_in_words(duration)) == duration
