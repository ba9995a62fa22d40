"""Count in a request of its own where a course is large, and only one count per user at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import transaction
from django.http import HttpRequest

from activity.access import for_user
from activity.models import Course, Enrollment
from segmentation.admin.preview import in_time
from segmentation.admin.words import user_of
from segmentation.queries import take_turn

# Up to here the numbers are counted while the page is made. A million takes seconds.
LARGE = 20_000
LONGEST_SECONDS = 20
# With this in its address, the page is asked to count.
ASKED = "counted"
T = TypeVar("T")


@dataclass(frozen=True)
class Count(Generic[T]):
    """A part of a page: what was counted, or why not. With neither, the page asks again.

    `address` is that of the same page with the numbers. `delay_seconds` is how long to wait.
    """

    address: str
    delay_seconds: int
    found: T | None = None
    fault: str = ""


def counted(request: HttpRequest, courses: Sequence[Course], count: Callable[[], T]) -> Count[T]:
    """Count now if the courses are small or the request asks for it.

    A user has one count at a time. A request that comes meanwhile is answered at once without
    numbers, so that pages in many windows do not keep all threads of the web server.
    """
    is_asked = ASKED in request.GET
    waiting: Count[T] = Count(_address(request), 2 if is_asked else 0)
    if not _is_large(request, courses):
        return Count(waiting.address, 0, count())
    if not is_asked:
        return waiting
    with transaction.atomic():
        if not take_turn(user_of(request).pk):
            return waiting
        found = in_time(count, seconds=LONGEST_SECONDS)
    if isinstance(found, str):
        return Count(waiting.address, 0, fault=found)
    return Count(waiting.address, 0, found)


def _is_large(request: HttpRequest, courses: Sequence[Course]) -> bool:
    enrolled = for_user(Enrollment.objects.all(), request.user).filter(course__in=courses)
    return enrolled.order_by()[: LARGE + 1].count() > LARGE


def _address(request: HttpRequest) -> str:
    asked = request.GET.copy()
    asked[ASKED] = "1"
    return f"{request.path}?{asked.urlencode()}"
