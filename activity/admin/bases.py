"""Base classes of our admin pages: rows by course, links between lists, lists of big tables."""

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.db.models import DateTimeField, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import StackedInline, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.paginator import InfinitePaginator

from activity.access import Viewer, for_user, named
from activity.admin.instants import ZonedField, ZonedWidget
from activity.admin.zones import path_to_course, show_in_course_zone
from activity.models import CourseScoped
from activity.rights import may_send
from activity.switch import of_chosen
from common.admin import ListLink, PageLink, SafeChangeList, SafeListAdmin
from common.stored_text import without_nul

# A search for a part of an id would read the whole table. The whole id is found by an index.
WHOLE_ID = "The whole external id of a learner"
# Lookups that compare a whole value or its beginning.
_WHOLE = ("__exact", "__iexact", "__istartswith")


class ScopedRows:
    """Limits the rows of a page and the choices of its form to those that the user may see."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the user's courses."""
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return for_user(rows, request.user)

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the field with the choices of the user's courses."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]
        return _narrowed(field, request)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Return the field with the choices of the user's courses."""
        field = super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]
        return _narrowed(field, request)


def _narrowed(field: Any, request: HttpRequest) -> Any:
    choices = getattr(field, "queryset", None)
    if choices is not None and issubclass(choices.model, CourseScoped):
        field.queryset = named(for_user(choices, request.user), request.user)
    return field


class TableInline(ScopedRows, TabularInline):
    """Rows of another model on a page, as a table."""


class StackInline(ScopedRows, StackedInline):
    """Rows of another model on a page, one below the other."""


class RelatedFilter(AutocompleteSelectFilter):
    """A filter by a related row with a search box. It offers only rows that the user may see."""

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        """Yield the form with the choices of the user's courses."""
        for choice in super().choices(changelist):
            # Otherwise a list's URL with the id of another course would show that course's title.
            for field in choice["form"].fields.values():
                _narrowed(field, self.request)
            yield choice


class ViewedChangeList(SafeChangeList):
    """A list of the chosen course whose rows hold the user who views them."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows of the chosen course that pass the filters."""
        # The number of all rows, which the list shows, is of the chosen course too.
        self.root_queryset = of_chosen(self.root_queryset, request)
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        """Read the page of rows, note the user on each, and show its times in its course's zone."""
        if path := path_to_course(self.model):
            self.queryset = self.queryset.select_related(path)
        super().get_results(request)
        for row in self.result_list:
            _note_viewer(row, request)
            show_in_course_zone(row)


def _note_viewer(row: Any, request: HttpRequest) -> None:
    row.__dict__["_viewer"] = request.user


def viewer_of(row: Model) -> Viewer:
    """Return the user who views the row. Columns that count learners need it."""
    viewer: Viewer = row.__dict__["_viewer"]
    return viewer


class LinkedAdmin(ScopedRows, SafeListAdmin):
    """A page that links to lists of related rows."""

    change_form_before_template = "admin/list_links.html"
    formfield_overrides: ClassVar[dict[Any, Any]] = {
        DateTimeField: {"form_class": ZonedField, "widget": ZonedWidget}
    }
    list_links: ClassVar[tuple[ListLink | PageLink, ...]] = ()

    @classmethod
    def add_links(cls, *links: ListLink | PageLink) -> None:
        """Add links to lists and pages of apps that this one cannot import, as they import it."""
        cls.list_links = (*cls.list_links, *links)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows with the courses that their names carry."""
        return named(super().get_queryset(request), request.user)

    def page_links(self, row: Any) -> list[tuple[str, str]]:
        """Return titles and addresses of our own pages about the row, which come first."""
        del row
        return []

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list class whose rows hold their viewer."""
        return ViewedChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row of the page, or None if the user may not see it."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            _note_viewer(row, request)
        return row

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the links that the user may follow to the context of the page."""
        row = context.get("original")
        if row is not None:
            links = [link for link in self.list_links if link.is_open_to(request)]
            lists = [(link.title, link.url(row)) for link in links]
            context["list_links"] = [*self.page_links(row), *lists]
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response


class BigTableAdmin(LinkedAdmin):
    """A list that never counts its table and pages by primary key."""

    # COUNT(*) over a million rows takes longer than the rest of the page.
    paginator = InfinitePaginator
    show_full_result_count = False
    # The button "Show counts" would count the table once for each choice of a filter.
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    ordering = ("-pk",)
    list_filter_submit = True

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for the whole text at once if the fields compare whole values or beginnings.

        Django searches word by word: a name "Kit Berg" would have to begin with "Berg" too.
        """
        text = without_nul(search_term).strip()
        fields = self.get_search_fields(request)
        if not text or not fields or not all(field.endswith(_WHOLE) for field in fields):
            found: tuple[QuerySet[Any], bool] = super().get_search_results(
                request, queryset, search_term
            )
            return found
        return queryset.filter(reduce(or_, (Q((field, text)) for field in fields))), False


class ReadOnlyAdmin(BigTableAdmin):
    """A page of rows that only the engine writes. Staff can view them but not change them."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row with its times in the zone of its course, or None."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            show_in_course_zone(row)
        return row

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: the engine adds these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the engine changes these rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: what happened stays on record."""
        return False


class KeptAdmin(LinkedAdmin):
    """A page of configuration that cannot be deleted, because its history would be deleted too."""

    show_full_result_count = False
    list_filter_submit = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: archive, pause or stop it instead."""
        return False


class SendingAdmin(LinkedAdmin):
    """A page with actions that let messages out. These actions need the permission "send"."""

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may change these rows and let messages out."""
        return self.has_change_permission(request) and may_send(request.user)
