"""The button of a list that downloads it as a file for a spreadsheet, as it is filtered."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from activity.rights import may_export
from common.spreadsheets import spreadsheet_lines

# The rows that the program holds at a time.
_BATCH = 2_000
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Column:
    """A column of a file: its name, the lookup of its value, and what it means.

    `words` writes a value in another form than usual.
    """

    name: str
    lookup: str
    meaning: str
    words: Callable[[Any], str] | None = None


@dataclass(frozen=True)
class Export:
    """The columns of a list's file. `zone` is the lookup of the zone in which instants are written.

    A row keeps the keys and external ids of what it names, never the numbers of this database.
    """

    columns: tuple[Column, ...]
    zone: str = ""

    def lines(self, rows: "QuerySet[Any]") -> Iterator[str]:
        """Yield the lines of the file. The rows are read in batches from a cursor of the server."""
        lookups = [column.lookup for column in self.columns]
        if self.zone:
            lookups.append(self.zone)
        read = rows.values_list(*lookups).iterator(chunk_size=_BATCH)
        return spreadsheet_lines([each.name for each in self.columns], map(self._cells, read))

    def _cells(self, values: Sequence[Any]) -> list[str]:
        zone = ZoneInfo(values[-1] if self.zone else "UTC")
        pairs = zip(self.columns, values, strict=False)
        return [each.words(value) if each.words else _cell(value, zone) for each, value in pairs]


# The learner of a row with an enrollment, and the course.
ENROLLED = (
    Column("learner", "enrollment__learner__external_id", "the learner's id on the platform"),
    Column("name", "enrollment__learner__name", "the learner's name"),
    Column("course", "enrollment__course__key", "the key of the course"),
)
COURSE_ZONE = "enrollment__course__time_zone"


class ExportedList:
    """A list with a button that downloads its rows. Put it before the base class of the page."""

    export: ClassVar[Export]
    # Whether the list also links to the import of learners.
    has_import: ClassVar[bool] = False
    list_before_template = "admin/list_export.html"

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the page and of its file."""
        page: Any = self
        own = path("export.csv", page.admin_site.admin_view(self.export_view), name=self._name())
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        return [own, *urls]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list with the address of its file, for users who may download it."""
        context = dict(extra_context or {})
        if may_export(request.user):
            context["export_address"] = f"{self._address()}?{request.GET.urlencode()}"
        response: HttpResponse = super().changelist_view(request, context)  # type: ignore[misc]
        return response

    @method_decorator(require_safe)
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Send the rows of the list with the same filters, search and order as a file."""
        page: Any = self
        if not (page.has_view_permission(request) and may_export(request.user)):
            raise PermissionDenied
        try:
            rows = page.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect(f"admin:{self._name().removesuffix('export')}changelist")
        log.info("%s downloads the list of %s", request.user.get_username(), page.opts.label_lower)
        return StreamingHttpResponse(
            self.export.lines(rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{self._file_name()}"'},
        )

    def _file_name(self) -> str:
        page: Any = self
        return f"{slugify(page.opts.verbose_name_plural)}.csv"

    def _name(self) -> str:
        page: Any = self
        return f"{page.opts.app_label}_{page.opts.model_name}_export"

    def _address(self) -> str:
        return reverse(f"admin:{self._name()}")


def _cell(value: Any, zone: ZoneInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(timespec="seconds")
    return str(value).lower() if isinstance(value, bool) else str(value)
