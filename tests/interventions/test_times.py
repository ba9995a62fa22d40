"""Times of day and delays as people write them, and limits as sentences."""

from datetime import time, timedelta

import pytest

from interventions.models import FrequencyCap, QuietHours
from interventions.policy.durations import DurationError, delay_in_words, parse_delay
from interventions.policy.times import TimeOfDayError, parse_time


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("9pm", time(21)),
        ("9 PM", time(21)),
        ("9 p.m.", time(21)),
        ("21:00", time(21)),
        ("21.00", time(21)),
        ("21h30", time(21, 30)),
        ("9.30 am", time(9, 30)),
        ("09:05", time(9, 5)),
        ("12am", time(0)),
        ("12pm", time(12)),
        ("12.30 am", time(0, 30)),
        ("noon", time(12)),
        ("midnight", time(0)),
    ],
)
def test_time_of_day_is_read(text: str, read: time) -> None:
    assert parse_time(text) == read


@pytest.mark.parametrize(
    "text", ["9", "2100", "25:00", "9:75", "13pm", "0am", "soon", "", "٩:00", "9pm tomorrow"]
)
def test_text_that_is_no_time_of_day_is_refused_with_examples(text: str) -> None:
    with pytest.raises(TimeOfDayError, match="9pm"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("at once", timedelta(0)),
        ("At once", timedelta(0)),
        ("", timedelta(0)),
        ("2 days later", timedelta(days=2)),
        ("1 day 12 hours", timedelta(hours=36)),
        ("90 min after", timedelta(minutes=90)),
    ],
)
def test_delay_is_read(text: str, delay: timedelta) -> None:
    assert parse_delay(text) == delay
    assert parse_delay(delay_in_words(delay)) == delay


def test_delay_without_a_unit_is_refused() -> None:
    with pytest.raises(DurationError, match="unit"):
        parse_delay("2 later")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"limit": 1, "window": "calendar_day"}, "At most 1 message in a day, later if more"),
        (
            {"limit": 3, "window": "rolling_days", "length": 7, "on_exceed": "drop"},
            "At most 3 messages in 7 days, dropped if more",
        ),
        (
            {"limit": 2, "window": "rolling_hours", "length": 1, "channel": "email"},
            "At most 2 emails in an hour, later if more",
        ),
        (
            {"limit": 1, "window": "rolling_days", "length": 1},
            "At most 1 message in 24 hours, later if more",
        ),
        (
            {"limit": 1, "window": "calendar_week"},
            "At most 1 message in a week from Monday, later if more",
        ),
    ],
)
def test_cap_is_a_sentence(fields: dict[str, object], sentence: str) -> None:
    assert FrequencyCap(**fields).sentence == sentence


def test_quiet_hours_are_a_sentence() -> None:
    hours = QuietHours(begins=time(21), ends=time(8))

    assert hours.sentence == "Nothing between 21:00 and 08:00, by the learner's own clock"
