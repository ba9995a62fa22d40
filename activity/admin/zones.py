"""Show the instants of a row in the zone of its course, and ask for a zone."""

from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from activity.models import Course, CourseScoped
from common.zones import known_zones, zone_named


class ZoneWidget(UnfoldAdminTextInputWidget):
    """A text input that offers the names of all zones while one types."""

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """Return the input with its list of names."""
        self.attrs["list"] = "time-zones"
        names = ((zone,) for zone in sorted(known_zones()))
        options = format_html_join("", '<option value="{}"></option>', names)
        listed = format_html('<datalist id="time-zones">{}</datalist>', options)
        box: SafeString = super().render(*args, **kwargs)
        return box + listed


class ZoneField(forms.CharField):
    """The name of a zone, or its city."""

    def to_python(self, value: Any) -> str:
        """Return the name of the zone. The validator of the column refuses other texts."""
        return zone_named(super().to_python(value) or "")


class CourseTime(datetime):
    """An instant in the zone of its course. Django shows it in this zone."""

    convert_to_local_time = False


@cache
def path_to_course(model: type[CourseScoped]) -> str | None:
    """Return the lookup from a row to its one course, None if a row may have several or none."""
    if model is Course:
        return ""
    path = model.course_scope.paths[0] if model.course_scope.paths else ""
    target: Any = model
    for name in path.split("__"):
        try:
            field = target._meta.get_field(name)
        except FieldDoesNotExist:
            return None
        if not field.concrete or not (field.many_to_one or field.one_to_one):
            return None
        target = field.related_model
    return path if target is Course else None


def show_in_course_zone(row: CourseScoped) -> None:
    """Put the instants of the row into the zone of its course, whose row must be loaded."""
    course = _course_of(row)
    if course is None:
        return
    try:
        zone = ZoneInfo(course.time_zone)
    except ZoneInfoNotFoundError:
        # A newer tzdata dropped the name. The instants stay in UTC.
        return
    for field in row._meta.concrete_fields:
        at = row.__dict__.get(field.attname)
        if isinstance(field, DateTimeField) and isinstance(at, datetime):
            local = at.astimezone(zone)
            row.__dict__[field.attname] = CourseTime.combine(local.date(), local.timetz())


def _course_of(row: CourseScoped) -> Course | None:
    path = path_to_course(type(row))
    if path is None:
        return None
    found: Any = row
    for name in filter(None, path.split("__")):
        # A report about an unknown message, for example, has no course yet.
        found = getattr(found, name, None)
    return found if isinstance(found, Course) else None
