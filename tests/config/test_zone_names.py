"""The hour that a clock change repeats: its two halves look different wherever a time is shown."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.utils import timezone
from django.utils.formats import date_format

from common.dates import instant_text

# In London 01:30 comes twice on this day. Nothing is special about the other two.
SUMMER = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
WINTER = datetime(2025, 10, 26, 1, 30, tzinfo=UTC)
LATER = datetime(2025, 10, 26, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "shown"),
    [(SUMMER, "01:30 BST"), (WINTER, "01:30 GMT"), (LATER, "02:30 GMT")],
    ids=["first", "second", "after"],
)
def test_admin_names_the_zone_in_every_hour(instant: datetime, shown: str) -> None:
    with timezone.override("Europe/London"):
        local = timezone.localtime(instant)
        assert date_format(local, "DATETIME_FORMAT") == f"26 Oct 2025, {shown}"
        assert Template('{{ at|date:"H:i e" }}').render(Context({"at": instant})) == shown


def test_a_day_has_no_zone() -> None:
    assert date_format(date(2025, 10, 26), "DATE_FORMAT") == "26 Oct 2025"


def test_a_sentence_says_which_of_the_two_hours_is_meant() -> None:
    in_london = {
        instant: instant_text(instant, zone="Europe/London") for instant in (SUMMER, WINTER, LATER)
    }
    assert in_london == {
        SUMMER: "Sunday 26 October 2025, 01:30 BST (Europe/London)",
        WINTER: "Sunday 26 October 2025, 01:30 GMT (Europe/London)",
        LATER: "Sunday 26 October 2025, 02:30 (Europe/London)",
    }


def test_a_zone_without_abbreviations_has_its_offset_in_the_repeated_hour() -> None:
    # Lord Howe's clock goes back by half an hour.
    at = datetime(2025, 4, 5, 15, 10, tzinfo=UTC)
    assert at.astimezone(ZoneInfo("Australia/Lord_Howe")).strftime("%Z") == "+1030"
    shown = instant_text(at, zone="Australia/Lord_Howe")
    assert shown == "Sunday 6 April 2025, 01:40 +1030 (Australia/Lord_Howe)"
