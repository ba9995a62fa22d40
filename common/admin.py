"""Parts of all admin pages: lists that are quick on a million rows, and links to lists."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError, ProgrammingError, transaction
from django.db.models import ManyToManyField, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from common.stored_text import without_nul

# Lookups that compare a whole value or its beginning.
_WHOLE = ("__exact", "__iexact", "__istartswith")
# The errors, here or in the database, for a value that is not valid for its field.
_UNREADABLE = (
    DataError, IndexError, OverflowError, ProgrammingError, TypeError, ValidationError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class ListLink:
    """A link from one row's page to the list of a model, opened with the query."""

    title: str
    model: type[Model]
    query: Callable[[Any], Mapping[str, object]]

    def url(self, row: Model) -> str:
        """Return the URL of the list for the row."""
        return list_url(self.model, self.query(row))

    def is_open_to(self, request: HttpRequest) -> bool:
        """Return whether the user may view the list."""
        meta = self.model._meta
        return bool(request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"))


@dataclass(frozen=True)
class PageLink:
    """A link from one row's page to a page of our own about the row."""

    title: str
    view: str
    permission: str

    def url(self, row: Model) -> str:
        """Return the URL of the page."""
        return reverse(self.view, args=(row.pk,))

    def is_open_to(self, request: HttpRequest) -> bool:
        """Return whether the user may open the page."""
        return bool(request.user.has_perm(self.permission))


def list_url(model: type[Model], query: Mapping[str, object]) -> str:
    """Return the URL of the model's list with the query."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(query)}"


def page_url(row: Model) -> str:
    """Return the address of the row's page."""
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(row.pk,))


def page_link(row: Model, *, words: str | None = None) -> str:
    """Return a link to the row's page, with the row's name or other words as its text."""
    return format_html('<a class="underline" href="{}">{}</a>', page_url(row), words or str(row))


def once_a_row(show: Callable[[Any, Any], str]) -> Callable[[Any, Any], str]:
    """Cache the value of a display method per row: a page's template reads it five times."""

    @wraps(show)
    def shown(page: Any, row: Any) -> str:
        kept: dict[str, str] = row.__dict__.setdefault("_shown", {})
        if show.__name__ not in kept:
            kept[show.__name__] = show(page, row)
        return kept[show.__name__]

    return shown


class SafeChangeList(ChangeList):
    """A list that opens for any URL. With invalid filters it redirects to the unfiltered list."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the rows of the page here, so that database errors can be handled."""
        # Django checks the filters before the query. A number that is too large for a column, or an
        # impossible year, fails only in the database, and the page would answer 500.
        try:
            with transaction.atomic():
                super().get_results(request)
                len(self.result_list)
        except _UNREADABLE as error:
            raise IncorrectLookupParameters(error) from error


class SafeListAdmin(ModelAdmin):
    """A list and a form that answer every URL with a page. All our admin classes use it."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list class that handles invalid filters."""
        return SafeChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search without the one character that PostgreSQL cannot compare."""
        term = without_nul(search_term)
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, term)
        return found

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run the action on the chosen rows. If the choice is invalid, show an error."""
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        try:
            with transaction.atomic():
                queryset.filter(pk__in=chosen).exists()
        except _UNREADABLE:
            messages.error(request, "These rows are not in this list. Choose rows of the list.")
            return None
        response: HttpResponse | None = super().response_action(request, queryset)
        return response

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the initial values of a form: those in the URL that are valid for their field."""
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
