"""Count in a request of its own where a course is large, and only one count per user at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest

from activity.access import for_user
from activity.models import Course, Enrollment
from activity.switch import chosen_course
from common.clock import utc_now
from common.database import in_time
from common.dates import instant_text
from segmentation.admin.words import user_of
from segmentation.queries import take_turn

# Up to here the numbers are counted while the page is made. A million takes seconds.
LARGE = 20_000
LONGEST_SECONDS = 20
# Numbers are shown again for so many times the seconds that they took, but not longer than this.
KEPT_TIMES, KEPT_SECONDS = 100, 300
# A file that waits for the user's turn tries again after so many seconds.
SECONDS_TO_TURN = 0.5
BUSY = "You count something else just now. Download the file again in a minute."
# With this in its address, the page is asked to count.
ASKED = "counted"
T = TypeVar("T")


@dataclass(frozen=True)
class Count(Generic[T]):
    """A part of a page: what was counted, or why not. With neither, the page asks again.

    `address` is that of the same page with the numbers. `delay_seconds` is how long to wait.
    `at` says when the numbers of a large course were counted.
    """

    address: str
    delay_seconds: int = 0
    found: T | None = None
    fault: str = ""
    at: str = ""


def counted(request: HttpRequest, courses: Sequence[Course], count: Callable[[], T]) -> Count[T]:
    """Count now if the courses are small or the request asks for it.

    A user has one count at a time. A request that comes meanwhile is answered at once without
    numbers, so that pages in many windows do not keep all threads of the web server.
    """
    address = _address(request)
    if not _is_large(request, courses):
        return Count(address, found=count())
    if ASKED in request.GET:
        return _count(request, courses, count)
    return _kept(request) or Count(address)


def count_or_kept(
    request: HttpRequest, courses: Sequence[Course], count: Callable[[], T]
) -> Count[T]:
    """Count now, in the request of a part of a page that is loaded after it.

    Numbers that are still kept are shown again, unless the request asks to count.
    """
    kept: Count[T] | None = None if ASKED in request.GET else _kept(request)
    return kept or _count(request, courses, count)


def _kept(request: HttpRequest) -> Any:
    return cache.get(_key(request))


def _count(request: HttpRequest, courses: Sequence[Course], count: Callable[[], T]) -> Count[T]:
    address, begun = _address(request), monotonic()
    found = _in_turn(user_of(request), count)
    if found is None:
        return Count(address, delay_seconds=2)
    if isinstance(found, str):
        return Count(address, fault=found)
    new = Count(address, found=found, at=_moment(courses))
    # In the memory of this process: a page that is only read must not write to the database.
    cache.set(_key(request), new, min(KEPT_TIMES * (monotonic() - begun), KEPT_SECONDS))
    return new


def _key(request: HttpRequest) -> str:
    # The course to which the user limits the lists may decide what is counted.
    chosen = chosen_course(request)
    asked = f"{user_of(request).pk} {chosen and chosen.pk} {_address(request)}"
    return f"counted-{sha256(asked.encode()).hexdigest()}"


def count_for_file(
    request: HttpRequest, courses: Sequence[Course], count: Callable[[], T]
) -> tuple[T | None, str]:
    """Count now within the limits of a page. A file cannot ask again, so it says why it has none.

    Return the numbers, or None and a sentence.
    """
    if not _is_large(request, courses):
        return count(), ""
    user, until = user_of(request), monotonic() + LONGEST_SECONDS
    # The page with the link to the file may be counting itself.
    while (found := _in_turn(user, count)) is None:
        if monotonic() > until:
            return None, BUSY
        sleep(SECONDS_TO_TURN)
    return (None, found) if isinstance(found, str) else (found, "")


def _in_turn(user: User, count: Callable[[], T]) -> T | str | None:
    """Return what was counted, a sentence on why not, or None while the user counts elsewhere."""
    with transaction.atomic():
        return in_time(count, seconds=LONGEST_SECONDS) if take_turn(user.pk) else None


def _moment(courses: Sequence[Course]) -> str:
    zones = {course.time_zone for course in courses}
    return instant_text(utc_now(), zone=zones.pop() if len(zones) == 1 else "UTC")


def _is_large(request: HttpRequest, courses: Sequence[Course]) -> bool:
    enrolled = for_user(Enrollment.objects.all(), request.user).filter(course__in=courses)
    return enrolled.order_by()[: LARGE + 1].count() > LARGE


def _address(request: HttpRequest) -> str:
    asked = request.GET.copy()
    asked[ASKED] = "1"
    return f"{request.path}?{asked.urlencode()}"
