"""The page that says how many of a course's enrollments a segment's rule would match now."""

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.db import DatabaseError, connection, transaction
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.widgets import UnfoldAdminSelectWidget

from activity.access import Viewer, for_user
from activity.admin import viewer_of
from activity.models import Course, Enrollment
from common.clock import utc_now
from segmentation import checks, models, queries
from segmentation.rules import Group, RuleError, check_ranges, parse

# A page is not to keep the database busy: above either, the command is named instead.
LARGEST_COURSE = 100_000
LONGEST_SECONDS = 10
# A segment's own page is opened often: it looks at less.
CHECKED_COURSES = 3
CHECKED_ENROLLMENTS = 5_000
CHECKED_SECONDS = 2
T = TypeVar("T")
TOO_MUCH = "{course} is too large to look at on a page: use manage.py preview_rule."


class PreviewForm(forms.Form):
    """Which course to look at; first the one that the segment is kept for."""

    course: Any = forms.ModelChoiceField(None, empty_label=None, widget=UnfoldAdminSelectWidget)

    def __init__(self, segment: models.Segment, data: Any, *, viewer: Viewer) -> None:
        courses = for_user(Course.objects.all(), viewer)
        kept = courses.filter(playbooks=segment.playbook_id)
        first = kept.first() or courses.first() or Course()
        super().__init__(data if "course" in data else {"course": first.pk})
        self.fields["course"].queryset = courses  # type: ignore[attr-defined]


def preview_text(segment: models.Segment, course: Course) -> str:
    """Return in a sentence how many the rule would match now, or why that cannot be said."""
    found = count_matches(segment, course)
    if isinstance(found, str):
        return found
    as_of = course.clock_stopped_at or utc_now()
    scope = f"{found.of:,} enrollments of {course} that could be in it"
    return f"{found.matches:,} of the {scope}, as of {as_of:%-d %b %Y, %H:%M} UTC."


def count_matches(segment: models.Segment, course: Course) -> queries.Preview | str:
    """Return whom the segment's rule would match in the course now, or why that cannot be said."""
    try:
        rule = check_ranges(parse(segment.rule))
    except RuleError as error:
        return f"This rule is at fault. {error}."
    enrolled = Enrollment.objects.filter(course=course).order_by()
    if enrolled[: LARGEST_COURSE + 1].count() > LARGEST_COURSE:
        return TOO_MUCH.format(course=course)
    return _counted(rule, course)


def _counted(rule: Group, course: Course) -> queries.Preview | str:
    as_of = course.clock_stopped_at or utc_now()
    return _in_time(lambda: queries.preview(rule, course, as_of=as_of), seconds=LONGEST_SECONDS)


def checks_text(segment: models.Segment, course: Course, *, largest: int, seconds: int) -> str:
    """Return in a sentence what is odd about the segment's rule in the course, or that nothing is.

    Courses of more than `largest` enrollments are not looked at.
    """
    try:
        rule = parse(segment.rule)
    except RuleError as error:
        return f"{course}: this rule is at fault. {error}."
    enrolled = Enrollment.objects.filter(course=course).order_by()
    if enrolled[: largest + 1].count() > largest:
        return TOO_MUCH.format(course=course)
    as_of = course.clock_stopped_at or utc_now()
    found = _in_time(lambda: checks.check_rule(rule, course, as_of=as_of), seconds=seconds)
    return f"{course}: {found if isinstance(found, str) else '; '.join(found)}."


def shown_checks(segment: models.Segment) -> str:
    """Return what is odd about the segment in the first of its running courses, one a line."""
    kept = queries.courses_of_playbook(segment.playbook_id, viewer=viewer_of(segment))
    courses = list(kept[: CHECKED_COURSES + 1])
    lines = [
        checks_text(segment, course, largest=CHECKED_ENROLLMENTS, seconds=CHECKED_SECONDS)
        for course in courses[:CHECKED_COURSES]
    ]
    if len(courses) > CHECKED_COURSES:
        lines.append("The preview checks the playbook's other courses, one at a time.")
    lines = lines or ["Its playbook is kept for no course: there is nothing to check."]
    return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines))


def _in_time(read: Callable[[], T], *, seconds: int) -> T | str:
    """Return what was read, or a sentence on why the database could not say it in time."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{seconds}s'")
            return read()
    except DatabaseError as error:
        # A statement that took too long, or a rule that the database cannot compute.
        return f"The database could not say it: {str(error).splitlines()[0]}."
