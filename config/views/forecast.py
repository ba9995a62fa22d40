"""The page that says what will go out in the next 14 days, hour by hour."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from math import ceil

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.timezone import get_current_timezone_name
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import viewable
from activity.models import Course
from activity.switch import chosen_course
from common.clock import local_date, local_midnight, utc_now
from common.dates import day_text, in_zone, instant_text
from config.views.counting import counted
from config.views.today import Staff
from experiments.reporting.reasons import reason_text
from interventions.channels import CHANNELS
from interventions.models import Channel, ChannelPace
from interventions.operations.pace import paces
from interventions.policy.decision import Reason
from interventions.queries.sends_to_come import EXPIRES, Send, SendsToCome, sends_to_come
from interventions.views.row_ids import row_id

DAYS = 14
HOURS = range(24)
# An hour has one of so many shades.
SHADES = 5
# A site may have more. They are in the list of courses.
MOST_COURSES = 100
Hour = tuple[date, int]


@dataclass(frozen=True)
class Cell:
    """An hour with its number of messages. `shade` is 0 for none, else 1 to SHADES."""

    hour: int
    number: int
    shade: int


@dataclass(frozen=True)
class DayLine:
    """A day with its hours."""

    day: date
    cells: list[Cell]

    @property
    def total(self) -> int:
        return sum(cell.number for cell in self.cells)


@dataclass(frozen=True)
class ChannelSends:
    """A channel with its number of messages, its busiest hour, and the time that this one takes."""

    name: str
    number: int
    busiest: str
    pace: str


@dataclass(frozen=True)
class CourseSends:
    """A course with its number of messages."""

    course: Course
    number: int


@dataclass(frozen=True)
class Forecast:
    """What the page shows of the messages to come."""

    days: list[DayLine]
    total: int
    ghosts: int
    # Sentences on when most go out.
    peaks: list[str]
    # Numbers of messages that do not go out, each with the reason in words.
    held: list[tuple[int, str]]
    unsent: list[tuple[int, str]]
    channels: list[ChannelSends]
    courses: list[CourseSends]
    learners: int
    looked_at: int

    @property
    def is_estimate(self) -> bool:
        return self.looked_at < self.learners


@never_cache
@require_safe
@staff_member_required
@permission_required("interventions.view_delivery", raise_exception=True)
def forecast_page(request: HttpRequest) -> HttpResponse:
    """Show when messages are expected to go out, in a course or in all courses."""
    seen = viewable(Course.objects.order_by("-starts_on", "key"), request.user)
    course = _course(request)
    now = utc_now()
    as_of = course.clock_stopped_at or now if course else now
    courses = [course] if course else list(seen.filter(clock_stopped_at=None)[:MOST_COURSES])
    zone = _zone(courses)
    offered = list(seen[:MOST_COURSES])
    count = counted(
        request, courses, partial(forecast_of, course, viewer=request.user, as_of=as_of, zone=zone)
    )
    shown = {
        "course": course,
        "courses": offered,
        "left_out": 0 if course else sum(each.clock_stopped_at is not None for each in offered),
        "as_of": instant_text(as_of, zone=zone),
        "until": day_text(_end(as_of, zone) - timedelta(seconds=1), zone=zone),
        "zone": in_zone(as_of, zone)[1],
        "hours": HOURS,
        "count": count,
        "forecast": count.found,
    }
    return render(request, "config/forecast.html", shown)


def forecast_of(course: Course | None, *, viewer: Staff, as_of: datetime, zone: str) -> Forecast:
    """Return the messages of the next 14 local days by hour. About 25 queries."""
    found = sends_to_come(course, until=_end(as_of, zone), now=as_of, viewer=viewer)
    hours = _hours(found.sends, found.factor, zone)
    first = local_date(as_of, zone)
    return Forecast(
        days=_lines([first + timedelta(days=number) for number in range(DAYS)], hours),
        total=sum(hours.values()),
        ghosts=round(len(found.ghosts) * found.factor),
        peaks=list(peak_sentences(hours)),
        held=_by_reason(found.held, found.factor),
        unsent=_by_reason(found.unsent, found.factor),
        channels=list(_channels(found, as_of, zone)),
        courses=_courses(found, viewer) if course is None else [],
        learners=found.learners,
        looked_at=found.looked_at,
    )


def peak_sentences(hours: Mapping[Hour, int]) -> Iterator[str]:
    """Yield when most messages go out."""
    if not hours:
        return
    (day, hour), most = _busiest(hours)
    number = "1 message" if most == 1 else f"{most:,} messages"
    yield f"Most go out on {day:%A %-d %B} {_from_to(hour)}: {number}."
    by_day: Counter[date] = Counter()
    for (each, _), count in hours.items():
        by_day[each] += count
    busiest, on_it = max(by_day.items(), key=lambda each: (each[1], -each[0].toordinal()))
    if busiest != day:
        yield f"The day with the most is {busiest:%A %-d %B}: {on_it:,}."


def pace_sentences(
    messages: int, *, per_second: float, slowed: ChannelPace | None, now: datetime, zone: str
) -> Iterator[str]:
    """Yield how long a channel takes for the messages, and whether it is slowed down. Pure."""
    if per_second:
        takes = _time_for(messages, per_second)
        yield f"At its limit of {per_second:g} a second they take {takes}."
    else:
        yield "No limit per second is set for it."
    if slowed and slowed.resumes_at and slowed.resumes_at > now:
        until = instant_text(slowed.resumes_at, zone=zone)
        yield f"Its other side has asked for less: nothing goes out until {until}."
    elif slowed and slowed.at_once:
        yield f"Its other side has asked for less: a worker sends {slowed.at_once} at once."


def _course(request: HttpRequest) -> Course | None:
    """Return the course of the address, or that to which the user limits the lists, or None."""
    chosen = chosen_course(request)
    asked = request.GET.get("course", str(chosen.pk) if chosen else "")
    if not asked:
        return None
    seen = viewable(Course.objects.all(), request.user)
    return get_object_or_404(seen, pk=row_id(asked) or 0)


def _zone(courses: Sequence[Course]) -> str:
    """Return the zone of the courses, or that of the whole page if they have several."""
    zones = {course.time_zone for course in courses}
    return zones.pop() if len(zones) == 1 else get_current_timezone_name()


def _end(as_of: datetime, zone: str) -> datetime:
    return local_midnight(local_date(as_of, zone) + timedelta(days=DAYS), zone)


def _hours(sends: Iterable[Send], factor: float, zone: str) -> dict[Hour, int]:
    """Return the numbers by local hour. If clocks are set back, an hour counts both times."""
    counts: Counter[Hour] = Counter()
    for send in sends:
        local, _ = in_zone(send.at, zone)
        counts[local.date(), local.hour] += 1
    return {hour: round(number * factor) for hour, number in counts.items()}


def _busiest(hours: Mapping[Hour, int]) -> tuple[Hour, int]:
    return max(hours.items(), key=lambda each: (each[1], [-each[0][0].toordinal()]))


def _from_to(hour: int) -> str:
    return f"from {hour:02}:00 to {(hour + 1) % 24:02}:00"


def _lines(days: Sequence[date], hours: Mapping[Hour, int]) -> list[DayLine]:
    most = max(hours.values(), default=0)
    return [
        DayLine(day, [_cell(hours.get((day, hour), 0), hour, most) for hour in HOURS])
        for day in days
    ]


def _cell(number: int, hour: int, most: int) -> Cell:
    return Cell(hour, number, ceil(SHADES * number / most) if number else 0)


def _time_for(messages: int, per_second: float) -> str:
    seconds = messages / per_second
    if seconds < 90:
        return "about a minute" if seconds > 30 else "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} minutes" if minutes < 120 else f"about {round(minutes / 60)} hours"


def _channels(found: SendsToCome, now: datetime, zone: str) -> Iterator[ChannelSends]:
    """Yield the channels with messages to come, the most first. One query."""
    sends: dict[str, list[Send]] = defaultdict(list)
    for send in found.sends:
        sends[send.channel].append(send)
    slowed = paces(sends)
    for name in sorted(sends, key=lambda name: (-len(sends[name]), name)):
        (day, hour), most = _busiest(_hours(sends[name], found.factor, zone))
        said = pace_sentences(
            most,
            per_second=CHANNELS[name].per_second(),
            slowed=slowed.get(name),
            now=now,
            zone=zone,
        )
        yield ChannelSends(
            str(Channel(name).label),
            round(len(sends[name]) * found.factor),
            f"{most:,} on {day:%A %-d %B} {_from_to(hour)}.",
            " ".join(said),
        )


# Of what has not happened yet. The other reasons hold now.
_TO_COME = {
    Reason.COURSE_OVER: "the course will be over by then",
    EXPIRES: "they would have to wait too long",
}


def _by_reason(counts: Counter[str], factor: float) -> list[tuple[int, str]]:
    return [
        (round(number * factor), _TO_COME.get(reason) or reason_text(reason))
        for reason, number in counts.most_common()
    ]


def _courses(found: SendsToCome, viewer: Staff) -> list[CourseSends]:
    """Return the courses with messages to come, the most first. One query."""
    counts = Counter(send.course_id for send in found.sends)
    most = counts.most_common(MOST_COURSES)
    rows = viewable(Course.objects.filter(pk__in=[pk for pk, _ in most]), viewer).in_bulk()
    return [
        CourseSends(rows[pk], round(number * found.factor)) for pk, number in most if pk in rows
    ]
