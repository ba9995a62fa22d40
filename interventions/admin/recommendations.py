"""Content mappings of all courses, read-only. They are edited on the page of their course."""

from django.contrib import admin

from activity.admin import ReadOnlyAdmin, RelatedFilter
from interventions import models


@admin.register(models.ContentMapping)
class ContentMappingAdmin(ReadOnlyAdmin):
    """What learners should take next."""

    list_display = ("course", "segment", "module", "topic", "item", "title", "minutes")
    list_select_related = ("course", "segment__playbook", "module", "item")
    list_filter = (("course", RelatedFilter), ("segment", RelatedFilter))
