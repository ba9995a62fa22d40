"""Admin pages of playbooks, norms, rules revisions, evaluation days and freezes."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from activity.access import for_user
from activity.admin import KeptAdmin, ReadOnlyAdmin, RelatedFilter, TableInline
from activity.texts import a_few
from common.clock import utc_now
from segmentation import models, operations
from segmentation.forms import PlaybookForm
from segmentation.rules import in_english


class SegmentInline(TableInline):
    """The segments of a playbook, read-only. Each segment is edited on its own page."""

    model = models.Segment
    fields = readonly_fields = ("name", "shown_rule", "priority", "status")
    show_change_link = True
    extra = 0
    can_delete = False

    @display(description="Rule")
    def shown_rule(self, segment: models.Segment) -> str:
        """Return the rule in English."""
        return in_english(segment.rule)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: a segment is added on its own page."""
        return False


@admin.register(models.Playbook)
class PlaybookAdmin(KeptAdmin):
    """Playbooks with their segments and courses."""

    form = PlaybookForm
    list_display = ("name", "shown_courses", "mode", "key")
    search_fields = ("key", "name")
    fields = ("name", "key", "mode", "kept_for")
    inlines = (SegmentInline,)

    @display(description="Courses")
    def shown_courses(self, playbook: models.Playbook) -> str:
        """Return the courses for which it is kept, since playbooks may have the same name."""
        return a_few([str(course) for course in playbook.courses.all()]) or "no course"

    def get_form(self, *args: Any, **kwargs: Any) -> Any:
        """Offer the courses that the user may see."""
        request, form = args[0], super().get_form(*args, **kwargs)
        return type(form.__name__, (form,), {"viewer": request.user})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the playbook. Its mode and courses are set by operations that re-evaluate."""
        mode = obj.mode
        if change:
            obj.mode = models.Playbook.objects.values_list("mode", flat=True).get(pk=obj.pk)
        obj.save()
        operations.set_mode(obj.pk, mode)
        links = for_user(models.PlaybookCourse.objects.filter(playbook_id=obj.pk), request.user)
        self._save_courses(obj.pk, links, {course.pk for course in form.cleaned_data["kept_for"]})

    @staticmethod
    def _save_courses(
        playbook_id: int, links: QuerySet[models.PlaybookCourse], wanted: set[int]
    ) -> None:
        # A course that the form could not offer stays as it is.
        for course_id in links.exclude(course_id__in=wanted).values_list("course_id", flat=True):
            operations.remove_course(playbook_id, course_id, now=utc_now())
        operations.add_courses(playbook_id, wanted)


@admin.register(models.Norms)
class NormsAdmin(ReadOnlyAdmin):
    """The norms of each course by day."""

    list_display = ("course", "day", "computed_at")
    list_select_related = ("course",)
    list_filter = (("course", RelatedFilter),)


@admin.register(models.RulesRevision)
class RulesRevisionAdmin(ReadOnlyAdmin):
    """The number of the last change of any rule."""

    list_display = ("number",)


@admin.register(models.PlaybookCourse)
class PlaybookCourseAdmin(ReadOnlyAdmin):
    """The courses of each playbook. They are set on the playbook's page."""

    list_display = ("playbook", "course")
    list_select_related = ("playbook", "course")


@admin.register(models.EvaluationDay)
class EvaluationDayAdmin(ReadOnlyAdmin):
    """What the evaluations of each course took, by day."""

    list_display = ("course", "day", "evaluated", "entered", "left", "failed", "shown_seconds")
    list_select_related = ("course",)
    list_filter = (("course", RelatedFilter),)

    @display(description="Seconds")
    def shown_seconds(self, day: models.EvaluationDay) -> str:
        """Return the time of all batches of the day."""
        return f"{day.seconds:.1f}"


@admin.register(models.Freeze)
class FreezeAdmin(ReadOnlyAdmin):
    """The times in which segments were frozen, and why."""

    list_display = ("segment", "version", "frozen_at", "thawed_at", "error")
    list_select_related = ("segment__playbook",)
    list_filter = (("segment", RelatedFilter),)
