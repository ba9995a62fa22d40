"""The backtest of a segment's rule, computed in short steps while its page shows the progress."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from time import monotonic

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.core import signing
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from activity.access import for_user, viewable
from activity.models import Course, Enrollment
from common.clock import local_date, utc_now
from config.views.segment_page import plots_of
from segmentation.charts import DaySizes
from segmentation.models import Segment
from segmentation.queries import backtest, courses_of_playbook
from segmentation.rules import Group, RuleError, check_ranges, parse

DAYS = 90
# One step of work. A page that answers within this time feels alive, and no request grows long.
STEP_SECONDS = 1.5
LARGEST_COURSE = 100_000
SALT = "segment-backtest"


@dataclass(frozen=True)
class Progress:
    """The days that are done, and the rest to do. `token` continues the work."""

    days: list[DaySizes]
    token: str

    @property
    def is_done(self) -> bool:
        """Return whether all days are done."""
        return len(self.days) == DAYS


@never_cache
@require_safe
@staff_member_required
@permission_required("segmentation.view_segment", raise_exception=True)
def segment_backtest(request: HttpRequest, segment_id: int, course_id: int) -> HttpResponse:
    """Compute some more days and show the progress, or the plot when all days are done."""
    seen = viewable(Segment.objects.select_related("playbook"), request.user)
    segment = get_object_or_404(seen, pk=segment_id)
    courses = courses_of_playbook(segment.playbook_id, viewer=request.user)
    course = get_object_or_404(courses, pk=course_id)
    shown: dict[str, object] = {"segment": segment, "course": course, "most": DAYS}
    enrolled = for_user(Enrollment.objects.filter(course=course), request.user)
    fault, rule = _rule_of(segment, course, enrolled)
    if rule is None:
        return render(request, "config/backtest.html", shown | {"fault": fault})
    progress = _continue(rule, segment, course, request.GET.get("done", ""))
    shown |= {"progress": progress, "plots": plots_of(progress.days) if progress.is_done else []}
    return render(request, "config/backtest.html", shown)


def _rule_of(
    segment: Segment, course: Course, enrolled: QuerySet[Enrollment]
) -> tuple[str, Group | None]:
    """Return the rule, or a sentence on why there is no backtest."""
    if enrolled.order_by()[: LARGEST_COURSE + 1].count() > LARGEST_COURSE:
        return f"{course} has more than {LARGEST_COURSE:,} enrollments, too many for a page.", None
    try:
        return "", check_ranges(parse(segment.rule))
    except RuleError as error:
        return f"This rule cannot be read: {error}", None


def _continue(rule: Group, segment: Segment, course: Course, token: str) -> Progress:
    now = course.clock_stopped_at or utc_now()
    as_of, numbers = _done(token, segment, course) if token else (now, [])
    first = local_date(as_of, course.time_zone) - timedelta(days=DAYS - 1)
    days = [DaySizes(first + timedelta(days=place), *each) for place, each in enumerate(numbers)]
    days = [*days, *_some_days(rule, course, first + timedelta(days=len(days)), as_of)]
    done = [(each.members, each.entered, each.left) for each in days]
    return Progress(days, _signed(segment, course, as_of, done))


def _signed(
    segment: Segment, course: Course, as_of: datetime, done: list[tuple[int, int, int]]
) -> str:
    about = [segment.pk, segment.version, course.pk]
    return signing.dumps([*about, as_of.isoformat(), done], salt=SALT)


def _some_days(rule: Group, course: Course, first: date, as_of: datetime) -> Iterator[DaySizes]:
    began = monotonic()
    for past in backtest(rule, course, first=first, as_of=as_of):
        yield past
        if monotonic() - began > STEP_SECONDS:
            return


def _done(token: str, segment: Segment, course: Course) -> tuple[datetime, list[list[int]]]:
    """Return the instant of the backtest and the numbers of the finished days in the token."""
    try:
        *about, text, numbers = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise Http404 from None
    # An edit of the rule in another tab would mix two rules in one plot, and another course its
    # numbers with those of this one.
    if about != [segment.pk, segment.version, course.pk]:
        raise Http404
    return datetime.fromisoformat(text), numbers
