"""Admin pages of the channels beside email."""

from django.contrib import admin

from activity.admin import WHOLE_ID, ReadOnlyAdmin
from interventions import models


@admin.register(models.InstructorTask)
class InstructorTaskAdmin(ReadOnlyAdmin):
    """All tasks, also closed ones. The page /tasks/ is the queue of those that wait."""

    list_display = ("title", "enrollment", "assignee", "state", "due_at", "closed_at")
    list_select_related = ("enrollment__learner", "enrollment__course", "assignee")
    list_filter = ("state",)
    search_fields = ("enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID
