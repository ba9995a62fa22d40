"""How soon a feed that stops is found silent, by its size."""

from tests.activity.test_feeds import HOUR, status, usual
from tests.factories import NOW


def test_feed_with_hundreds_of_events_an_hour_is_silent_after_one_hour() -> None:
    stopped = NOW.replace(hour=14)
    for events, hours_until_found in ((500, 1), (300, 2), (100, 3), (20, 3)):
        hours = list(usual(stopped, events=events))
        found = [status(hours, stopped + n * HOUR) == "silent" for n in range(1, 4)]
        assert found == [n >= hours_until_found for n in range(1, 4)], events
    # In the night nothing is missed.
    night = NOW.replace(hour=22)
    assert status(list(usual(night, events=2_000)), night + 9 * HOUR) == "ok"
