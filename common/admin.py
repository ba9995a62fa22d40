"""What every admin page shares: lists quick on a million rows, and links from page to list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce, wraps
from operator import or_
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError, ProgrammingError, transaction
from django.db.models import ManyToManyField, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

# What compares with the whole of a value, or with its beginning.
_WHOLE = ("__exact", "__iexact", "__istartswith")
# How a value that is none of its field's comes out, here or in the database.
_UNREADABLE = (
    DataError, IndexError, OverflowError, ProgrammingError, TypeError, ValidationError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class ListLink:
    """A link from one row's page to a list narrowed to it.

    `model` names the list, as in "activity.event"; `query` gives what it is opened with.
    """

    title: str
    model: str
    query: Callable[[Any], Mapping[str, object]]

    def url(self, row: Model) -> str:
        """Return where the link leads for the row."""
        return list_url(self.model, self.query(row))

    def is_open_to(self, request: HttpRequest) -> bool:
        """Return whether the user may look at the list."""
        app, model = self.model.split(".")
        return bool(request.user.has_perm(f"{app}.view_{model}"))


def list_url(model: str, query: Mapping[str, object]) -> str:
    """Return the address of the model's list, opened with the query."""
    address = reverse(f"admin:{model.replace('.', '_')}_changelist")
    return f"{address}?{urlencode(query)}"


def page_link(row: Model, *, words: str | None = None) -> str:
    """Return a link to the row's page that says its name, or other words."""
    meta = row._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(row.pk,))
    return format_html('<a class="underline" href="{}">{}</a>', address, words or str(row))


def once_a_row(show: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Compute what is shown of a row once: the template of a page asks for it five times."""

    @wraps(show)
    def shown(page: Any, row: Any) -> str:
        kept: dict[str, str] = row.__dict__.setdefault("_shown", {})
        if show.__name__ not in kept:
            kept[show.__name__] = show(page, row)
        return kept[show.__name__]

    return shown


class SafeChangeList(ChangeList):
    """A list that any address opens: filters that cannot be read lead to the list without them."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page of rows now, where what the database refuses can still be answered."""
        # Django looks at the filters before it asks the database. A number too large for a column
        # or a year without dates comes out only there, as a page that answers 500.
        try:
            with transaction.atomic():
                super().get_results(request)
                len(self.result_list)
        except _UNREADABLE as error:
            raise IncorrectLookupParameters(error) from error


class SafeListAdmin(ModelAdmin):
    """A list and a form that answer any address with a page: every admin of ours is one."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that refuses what it cannot read."""
        return SafeChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search without the one character that PostgreSQL cannot compare."""
        term = search_term.replace("\0", "")
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, term)
        return found

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run the action on the chosen rows; choices that are no rows' choose nothing."""
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        try:
            with transaction.atomic():
                queryset.filter(pk__in=chosen).exists()
        except _UNREADABLE:
            messages.error(request, "The choice is not in this list. Choose rows of it.")
            return None
        response: HttpResponse | None = super().response_action(request, queryset)
        return response

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return what a form begins with: of the address, the values that their fields take."""
        given = super().get_changeform_initial_data(request).items()
        return {name: value for name, text in given for value in self._readable(name, text)}

    def _readable(self, name: str, given: Any) -> list[Any]:
        try:
            field = self.opts.get_field(name)
        except FieldDoesNotExist:
            return [given]
        if not field.concrete or isinstance(field, ManyToManyField):
            return []
        try:
            return [field.clean(given, None)]
        except _UNREADABLE:
            return []


class LinkedAdmin(SafeListAdmin):
    """A page that links to the lists of what belongs to its row."""

    change_form_before_template = "admin/list_links.html"
    list_links: ClassVar[tuple[ListLink, ...]] = ()

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the links to what the page shows, those that the user may follow."""
        row = context.get("original")
        if row is not None:
            links = [link for link in self.list_links if link.is_open_to(request)]
            context["list_links"] = [(link.title, link.url(row)) for link in links]
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response


class BigTableAdmin(LinkedAdmin):
    """A list that never counts its table and pages by primary key."""

    # COUNT(*) over a million rows takes longer than everything else on the page together.
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
        """Search for the text as one where whole values or beginnings are compared.

        Word by word, as Django does, "Kit Berg" would have to begin with "Berg" too.
        """
        text = search_term.replace("\0", "").strip()
        fields = self.get_search_fields(request)
        if not text or not fields or not all(field.endswith(_WHOLE) for field in fields):
            found: tuple[QuerySet[Any], bool] = super().get_search_results(
                request, queryset, search_term
            )
            return found
        return queryset.filter(reduce(or_, (Q((field, text)) for field in fields))), False


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


class KeptAdmin(LinkedAdmin):
    """Configuration that can be added and changed; deleting it would take its history along."""

    show_full_result_count = False
    list_filter_submit = True

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: archive, pause or stop it instead."""
        return False
