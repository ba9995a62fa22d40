"""The forms of the import of a spreadsheet: the file, and the meaning of its columns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from activity.access import Viewer, for_user
from activity.models import Course
from activity.operations.outline import stored_keys
from activity.outline import OutlineRow, outline_rows
from activity.spreadsheet import (
    FIELDS,
    ID,
    MOST_BYTES,
    Sheet,
    SheetError,
    decoded,
    guessed,
    read_sheet,
)
from common.clock import local_midnight
from common.dates import day_text

_CHOICES = [("", "Leave this column out"), *((each.name, each.label) for each in FIELDS)]


class TableForm(forms.Form):
    """A spreadsheet as a file or as text."""

    # What a line of the table is about.
    each = "learner"
    file = forms.FileField(
        label="CSV file",
        required=False,
        help_text="In your spreadsheet: Save as, CSV. The first line names the columns.",
    )
    text = forms.CharField(
        label="Or paste the cells here",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6}),
    )
    sheet: Sheet

    def clean(self) -> dict[str, Any]:
        """Read the table, so that a fault is shown beside what was chosen."""
        values = super().clean() or {}
        given = values.get("file")
        try:
            values["text"] = _text_of(given) if given else values.get("text", "")
            self.sheet = read_sheet(values["text"], each=self.each)
        except SheetError as error:
            self.add_error("file" if given else "text", str(error))
        return values


class SheetForm(TableForm):
    """The course, and its learners as a spreadsheet."""

    course: "forms.ModelChoiceField[Course]" = forms.ModelChoiceField(
        queryset=None, empty_label="Choose a course"
    )
    field_order = ("course", "file", "text")

    def __init__(self, *args: Any, viewer: Viewer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["course"].queryset = for_user(  # type: ignore[attr-defined]
            Course.objects.order_by("title", "key"), viewer
        )


class OutlineForm(TableForm):
    """The modules and quizzes of a course as a spreadsheet."""

    each = "module or quiz"
    rows: list[OutlineRow]

    def __init__(self, *args: Any, course: Course, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.course = course

    def clean(self) -> dict[str, Any]:
        """Read the rows, so that another table is refused beside what was chosen."""
        values = super().clean()
        if not self.errors:
            try:
                stored = stored_keys(self.course)
                rows = outline_rows(self.sheet, course=self.course.key, stored=stored)
                self.rows = list(rows)
            except SheetError as error:
                self.add_error("text", str(error))
        return values


def _text_of(file: "UploadedFile[Any]") -> str:
    if (file.size or 0) > MOST_BYTES:
        raise SheetError("The file is larger than 1 MB. Divide it.")
    return decoded(file.read())


class ColumnsForm(forms.Form):
    """The meaning of each column of a spreadsheet."""

    def __init__(self, data: Mapping[str, Any] | None, *, sheet: Sheet) -> None:
        super().__init__(data)
        guesses = guessed(sheet.header)
        for column, header in enumerate(sheet.header):
            self.fields[f"column_{column}"] = forms.ChoiceField(
                choices=_CHOICES,
                label=header or f"Column {column + 1}",
                required=False,
                initial=guesses.get(column, ""),
                help_text=", ".join(sheet.samples(column)),
            )

    def clean(self) -> dict[str, Any]:
        """Refuse a table without ids, and two columns of one meaning."""
        values = super().clean() or {}
        chosen = [name for name in values.values() if name]
        if ID not in chosen:
            raise ValidationError("Choose the column that holds the id of the learner.")
        for each in FIELDS:
            if chosen.count(each.name) > 1:
                raise ValidationError(f"Two columns are chosen as “{each.label}”. Leave one out.")
        return values

    @property
    def columns(self) -> dict[str, int]:
        """Return the number of the column of each field."""
        found = self.cleaned_data.items()
        return {field: int(name.removeprefix("column_")) for name, field in found if field}


class BeginningForm(forms.Form):
    """When new enrollments without a day begin, for a course that has begun already.

    Time counts from the beginning: learners who are enrolled today have been quiet for no day.
    """

    begins = forms.ChoiceField(
        label="If a new learner has no day of enrolling, the learner takes the course since",
        required=False,
        initial="start",
        widget=forms.RadioSelect,
    )

    def __init__(self, data: Mapping[str, Any] | None, *, course: Course, now: datetime) -> None:
        super().__init__(data)
        self.starts_at = local_midnight(course.starts_on, course.time_zone)
        self.is_asked = self.starts_at < now
        first = day_text(self.starts_at, zone=course.time_zone)
        self.fields["begins"].choices = [  # type: ignore[attr-defined]
            ("start", f"its first day, {first}"),
            ("now", "today"),
        ]

    @property
    def begins_at(self) -> datetime | None:
        """Return the chosen beginning. None means now."""
        is_today = self.is_valid() and self.cleaned_data["begins"] == "now"
        return self.starts_at if self.is_asked and not is_today else None
