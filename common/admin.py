"""What every admin page shares: pages that stay quick on tables of a million rows."""

from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator


class BigTableAdmin(ModelAdmin):
    """A list that never counts its table and pages by primary key."""

    # COUNT(*) over a million rows takes longer than everything else on the page together.
    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)
    list_filter_submit = True


class ReadOnlyAdmin(BigTableAdmin):
    """Rows that only the engine writes: to look at, not to change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the engine adds these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the engine changes these rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: what happened stays on record."""
        return False


class KeptAdmin(ModelAdmin):
    """Configuration that can be added and changed; deleting it would take its history along."""

    show_full_result_count = False
    list_filter_submit = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: archive, pause or stop it instead."""
        return False
