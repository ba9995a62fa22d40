"""What every admin page shares: lists quick on a million rows, and links from page to list."""

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

# What compares with the whole of a value, or with its beginning.
_WHOLE = ("__exact", "__iexact", "__istartswith")
# How a value that is none of its field's comes out, here or in the database.
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
        """Return where the link leads for the row."""
        return list_url(self.model, self.query(row))

    def is_open_to(self, request: HttpRequest) -> bool:
        """Return whether the user may look at the list."""
        meta = self.model._meta
        return bool(request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"))


def list_url(model: type[Model], query: Mapping[str, object]) -> str:
    """Return the address of the model's list, opened with the query."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
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
        term = without_nul(search_term)
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
