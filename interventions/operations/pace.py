"""Slow a channel down when its other side asks for less, and keep its limit per second.

All workers share one row per channel, so a limit holds for all of them together.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from math import floor
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from common.back_off import BackOff
from interventions.models import ChannelPace

# The wait after the other side asked for less without saying for how long. For each further time in
# a row it is longer.
BACK_OFF = BackOff(timedelta(seconds=5), timedelta(minutes=15))
# No answer may stop a channel for longer, whatever it says.
LONGEST = timedelta(hours=1)
# Messages that one second allows may go out together.
_BURST = timedelta(seconds=1)

_SLOW = """
INSERT INTO interventions_channelpace AS pace (channel, slowed, at_once, resumes_at)
VALUES (%(channel)s, 1, %(half)s, %(until)s)
ON CONFLICT (channel) DO UPDATE
SET slowed = LEAST(pace.slowed + 1, 1000), at_once = LEAST(pace.at_once, excluded.at_once),
    resumes_at = GREATEST(pace.resumes_at, excluded.resumes_at)
"""

_RECOVER = """
UPDATE interventions_channelpace
SET slowed = 0, at_once = NULLIF(LEAST(at_once + 1, %(most)s), %(most)s)
WHERE channel = %(channel)s AND (slowed > 0 OR at_once IS NOT NULL)
"""


def paces(channels: Collection[str]) -> Mapping[str, ChannelPace]:
    """Return the rows of the channels that do not go at full pace. One query."""
    return {each.channel: each for each in ChannelPace.objects.filter(channel__in=channels)}


def slowed_room(pace: ChannelPace | None, *, most: int, now: datetime) -> int:
    """Return how many of `most` messages may go out at once, as the other side has asked. Pure."""
    if pace is None:
        return most
    if pace.resumes_at is not None and pace.resumes_at > now:
        return 0
    return most if pace.at_once is None else min(most, pace.at_once)


@transaction.atomic
def take(channel: str, most: int, *, per_second: float, now: datetime) -> int:
    """Take from the limit per second for at most so many messages. Return for how many.

    Give back what is not used.
    """
    ChannelPace.objects.bulk_create([ChannelPace(channel=channel)], ignore_conflicts=True)
    pace = ChannelPace.objects.select_for_update(no_key=True).get(channel=channel)
    even_at = max(pace.even_at or now, now)
    # A limit below one per second allows one message when the earlier ones are even.
    burst = max(_BURST, timedelta(seconds=1 / per_second))
    # Rounded, because the division by a limit such as 3 leaves a little less than a whole message.
    allowed = floor(round((now + burst - even_at).total_seconds() * per_second, 3))
    number = max(0, min(most, allowed))
    pace.even_at = even_at + timedelta(seconds=number / per_second)
    pace.save(update_fields=["even_at"])
    return number


def give_back(channel: str, number: int, *, per_second: float) -> None:
    """Give back what was taken from the limit per second and not used."""
    if number:
        unused = timedelta(seconds=number / per_second)
        ChannelPace.objects.filter(channel=channel).update(even_at=F("even_at") - unused)


def slow_down(channel: str, *, at_once: int, after: timedelta | None, now: datetime) -> datetime:
    """Halve the pace, and let nothing go out for the time that the other side asked for.

    Return when the channel goes on.
    """
    known = paces([channel]).get(channel)
    before = 0 if known is None else known.slowed
    wait = min(max(after or timedelta(0), BACK_OFF.after(before + 1)), LONGEST)
    values = {"channel": channel, "half": max(1, at_once // 2), "until": now + wait}
    _execute(_SLOW, values)
    return now + wait


def speed_up(channel: str, *, most: int) -> None:
    """Let one more message go out at once, after a loop that went well."""
    _execute(_RECOVER, {"channel": channel, "most": most})


def _execute(statement: str, values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
