"""Texts of the preview page: how many enrollments of a course a segment's rule matches now."""

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.widgets import UnfoldAdminSelectWidget

from activity.access import Viewer, for_user
from activity.admin import viewer_of
from activity.models import Course, Enrollment
from common.clock import utc_now
from common.database import in_time
from segmentation import checks, models, queries
from segmentation.rules import Group, RuleError, check_ranges, parse

# Limits for a page. Above either of them, the page names the command instead.
LARGEST_COURSE = 100_000
LONGEST_SECONDS = 10
# A segment's own page is opened often, so its limits are lower.
CHECKED_COURSES = 3
CHECKED_ENROLLMENTS = 5_000
CHECKED_SECONDS = 2
TOO_MUCH = "{course} is too large for this page: use manage.py preview_rule."


class PreviewForm(forms.Form):
    """The choice of a course. The default is a course for which the segment is kept."""

    course: Any = forms.ModelChoiceField(None, empty_label=None, widget=UnfoldAdminSelectWidget)

    def __init__(self, segment: models.Segment, data: Any, *, viewer: Viewer) -> None:
        courses = for_user(Course.objects.all(), viewer)
        kept = courses.filter(playbooks=segment.playbook_id)
        first = kept.first() or courses.first() or Course()
        super().__init__(data if "course" in data else {"course": first.pk})
        self.fields["course"].queryset = courses  # type: ignore[attr-defined]


def preview_text(segment: models.Segment, course: Course) -> str:
    """Return in a sentence how many enrollments the rule matches now, or why that is unknown."""
    found = count_matches(segment, course)
    if isinstance(found, str):
        return found
    as_of = (course.clock_stopped_at or utc_now()).astimezone(ZoneInfo(course.time_zone))
    scope = f"{found.of:,} enrollments of {course} in scope"
    return f"{found.matches:,} of the {scope}, as of {as_of:%-d %b %Y, %H:%M %Z}."


def count_matches(segment: models.Segment, course: Course) -> queries.Preview | str:
    """Return how many enrollments the rule matches in the course now, or why that is unknown."""
    try:
        rule = check_ranges(parse(segment.rule))
    except RuleError as error:
        return f"This rule has a fault. {error}."
    enrolled = Enrollment.objects.filter(course=course).order_by()
    if enrolled[: LARGEST_COURSE + 1].count() > LARGEST_COURSE:
        return TOO_MUCH.format(course=course)
    return _counted(rule, course)


def _counted(rule: Group, course: Course) -> queries.Preview | str:
    as_of = course.clock_stopped_at or utc_now()
    return in_time(lambda: queries.preview(rule, course, as_of=as_of), seconds=LONGEST_SECONDS)


def checks_text(segment: models.Segment, course: Course, *, largest: int, seconds: int) -> str:
    """Return a sentence with the warnings about the segment's rule in the course, if any.

    Courses of more than `largest` enrollments are not checked.
    """
    try:
        rule = parse(segment.rule)
    except RuleError as error:
        return f"{course}: this rule has a fault. {error}."
    enrolled = Enrollment.objects.filter(course=course).order_by()
    if enrolled[: largest + 1].count() > largest:
        return TOO_MUCH.format(course=course)
    as_of = course.clock_stopped_at or utc_now()
    found = in_time(lambda: checks.check_rule(rule, course, as_of=as_of), seconds=seconds)
    return f"{course}: {found if isinstance(found, str) else '; '.join(found)}."


def shown_checks(segment: models.Segment) -> str:
    """Return the warnings about the segment in the latest of its courses, one course per line."""
    kept = queries.courses_of_playbook(segment.playbook_id, viewer=viewer_of(segment))
    courses = list(kept[: CHECKED_COURSES + 1])
    lines = [
        checks_text(segment, course, largest=CHECKED_ENROLLMENTS, seconds=CHECKED_SECONDS)
        for course in courses[:CHECKED_COURSES]
    ]
    if len(courses) > CHECKED_COURSES:
        lines.append("Use the preview to check the playbook's other courses, one at a time.")
    lines = lines or ["There is nothing to check: the playbook is kept for no course."]
    return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines))
