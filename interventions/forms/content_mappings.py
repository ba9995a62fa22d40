"""The table of a course's content mapping, as it is typed or pasted."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from activity.access import Viewer, for_user
from activity.models import Course, Item, ItemKind
from activity.spreadsheet import SheetError, read_sheet
from activity.validators import validate_web_address
from common.stored_text import storable_text
from interventions.models import ContentMapping
from interventions.operations.content_mappings import MappedThing
from segmentation.models import Segment, SegmentStatus

MOST_ROWS = 200
# A list to choose from. What is not in it can be typed.
MOST_LISTED = 500
MOST_ITEMS = 5_000
EMPTY_ROWS = 3
NAMES = ("segment", "place", "thing", "url", "minutes")
LABELS = ("Segment", "Module or topic", "What comes next", "Link", "Minutes")
_HEADERS = {
    "segment": ("segment", "for", "who"),
    "place": ("moduleortopic", "module", "topic", "place", "unit", "chapter"),
    "thing": ("whatcomesnext", "next", "resource", "item", "title"),
    "url": ("link", "url", "address"),
    "minutes": ("minutes", "min", "time"),
}

Typed = Mapping[str, str]


@dataclass(frozen=True)
class Offered:
    """What the rows of a course can name: its segments, its items, and their topics."""

    course: Course
    segments: Mapping[str, Segment]
    # Segments that rows name although no learner of the course can be in them.
    former: Mapping[str, Segment]
    items: Sequence[Item]

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Return the segments by their keys, former ones with the reason."""
        present = [(key, each.name) for key, each in self.segments.items()]
        return [*present, *((key, _former_name(each)) for key, each in self.former.items())]

    @property
    def modules(self) -> list[Item]:
        """Return the modules."""
        return [each for each in self.items if each.kind == ItemKind.MODULE]

    @property
    def topics(self) -> list[str]:
        """Return the topics of the items, each once."""
        return sorted({each.topic for each in self.items if each.topic})

    @property
    def things(self) -> list[Item]:
        """Return the items that a list offers."""
        return [each for each in self.items if each.kind != ItemKind.MODULE][:MOST_LISTED]


def offered_for(course: Course, viewer: Viewer) -> Offered:
    """Return what the course offers to a viewer. Three queries."""
    seen = for_user(Segment.objects.order_by("playbook_id", "priority", "pk"), viewer)
    kept = seen.filter(playbook__courses=course).exclude(status=SegmentStatus.ARCHIVED)
    segments = {str(each.pk): each for each in kept}
    # A row that shows no segment would be saved as one for every learner.
    named = seen.filter(content_mappings__course=course).distinct()
    former = {str(each.pk): each for each in named if str(each.pk) not in segments}
    items = for_user(Item.objects.filter(course=course), viewer).order_by("position", "pk")
    return Offered(course, segments, former, list(items[:MOST_ITEMS]))


def _former_name(segment: Segment) -> str:
    is_archived = segment.status == SegmentStatus.ARCHIVED
    return f"{segment.name} ({'archived' if is_archived else 'no longer in this course'})"


class MappingRow(forms.Form):
    """One row: for whom, where, and what comes next."""

    segment = forms.ChoiceField(
        required=False,
        label=LABELS[0],
        error_messages={"invalid_choice": "The course has no segment “%(value)s”."},
    )
    place = forms.CharField(required=False, max_length=300, label=LABELS[1])
    thing = forms.CharField(required=False, max_length=300, label=LABELS[2])
    url = forms.CharField(
        required=False, max_length=500, label=LABELS[3], validators=[validate_web_address]
    )
    minutes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=10_000,
        label=LABELS[4],
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, offered: Offered, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered = offered
        self._offer_segments()
        for name, listed in (("place", "places"), ("thing", "things")):
            self.fields[name].widget.attrs["list"] = listed
        for name, label in zip(NAMES, LABELS, strict=True):
            # The heading of the column is not tied to the field.
            self.fields[name].widget.attrs["aria-label"] = label

    def _offer_segments(self) -> None:
        segments: Any = self.fields["segment"]
        choices = [("", "every learner"), *self.offered.choices]
        segments.choices = choices
        value = self["segment"].value() or ""
        if value not in dict(choices):
            # It is shown and refused. A list without it would show and send “every learner”.
            segments.widget.choices = [*choices, (value, f"{value} (unknown)")]

    def clean(self) -> dict[str, Any]:
        """Find the module, topic and item that are named. An empty row is none."""
        data = super().clean() or {}
        if self.errors or self.is_empty:
            return data
        data["module"], data["topic"] = self._found_place(data["place"])
        data["item"] = _named(self.offered.items, data["thing"])
        if not data["thing"]:
            self.add_error("thing", "Write what comes next, or empty the whole row.")
        elif data["item"] is None and not data["url"]:
            self.add_error(
                "url", f"The course has no item “{data['thing']}”, so it needs a link of its own."
            )
        return data

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is typed into the row."""
        # Alone, a segment says nothing.
        return not any(self.cleaned_data.get(name) for name in NAMES[1:])

    def _found_place(self, text: str) -> tuple[Item | None, str]:
        if not text:
            return None, ""
        module = _named(self.offered.modules, text)
        topics = {topic.lower(): topic for topic in self.offered.topics}
        topic = "" if module else topics.get(text.lower(), "")
        if module is None and not topic:
            self.add_error("place", f"The course has no module and no topic “{text}”.")
        return module, topic

    @property
    def mapped(self) -> MappedThing:
        """Return the row to store. The form must be valid and not empty."""
        data = self.cleaned_data
        item, module = data["item"], data["module"]
        return MappedThing(
            segment_id=int(data["segment"]) if data["segment"] else None,
            module_id=module.pk if module else None,
            topic=data["topic"],
            item_id=item.pk if item else None,
            title="" if item else data["thing"],
            url=data["url"],
            minutes=data["minutes"],
        )


class MappingTable:
    """All rows of the table, as typed or as stored."""

    def __init__(self, rows: Sequence[Typed], *, offered: Offered, is_checked: bool) -> None:
        self.forms = [
            _row(number, typed, offered, is_checked=is_checked)
            for number, typed in enumerate(_with_empty(rows))
        ]
        self.offered = offered

    def is_valid(self) -> bool:
        """Check all rows, and that each place has one."""
        # Each row is checked, also behind a wrong one.
        wrong = [form for form in self.forms if not form.is_valid()]
        return not wrong and self._places_are_single()

    def things(self) -> list[MappedThing]:
        """Return the rows to store. The table must be valid."""
        return [form.mapped for form in self.forms if not form.is_empty]

    def _places_are_single(self) -> bool:
        first: dict[Any, int] = {}
        is_single = True
        for number, form in enumerate(self.forms, start=1):
            earlier = number if form.is_empty else first.setdefault(form.mapped.place, number)
            if earlier != number:
                is_single = False
                form.add_error(
                    "place", f"Row {earlier} is for the same learners and place. Remove one."
                )
        return is_single


def _row(number: int, typed: Typed, offered: Offered, *, is_checked: bool) -> MappingRow:
    prefix = f"row-{number}"
    if not is_checked:
        return MappingRow(initial=dict(typed), prefix=prefix, offered=offered)
    data = {f"{prefix}-{name}": text for name, text in typed.items()}
    return MappingRow(data, prefix=prefix, offered=offered)


def _with_empty(rows: Sequence[Typed]) -> list[Typed]:
    return [*rows, *([{}] * min(EMPTY_ROWS, MOST_ROWS - len(rows)))]


def typed_rows(posted: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the posted rows in order, without empty ones."""
    found: dict[int, dict[str, str]] = {}
    for field, text in posted.items():
        match = re.fullmatch(r"row-(\d{1,3})-([a-z]+)", field, re.ASCII)
        if match and match[2] in NAMES and int(match[1]) < MOST_ROWS:
            found.setdefault(int(match[1]), {})[match[2]] = storable_text(text).strip()
    rows = [row for _, row in sorted(found.items())]
    return [row for row in rows if any(row.get(name) for name in NAMES[1:])]


def stored_rows(rows: Collection[ContentMapping], offered: Offered) -> list[dict[str, str]]:
    """Return the stored rows as they would be typed."""
    return [
        {
            "segment": str(row.segment_id or ""),
            "place": _name(row.module, offered.modules) if row.module else row.topic,
            "thing": _name(row.item, offered.items) if row.item else row.title,
            "url": row.url,
            "minutes": str(row.minutes or ""),
        }
        for row in rows
    ]


def pasted_rows(text: str, offered: Offered) -> Iterator[dict[str, str]]:
    """Yield the rows of pasted cells. Raise SheetError with a sentence for another table.

    The first line names the columns. A segment is written by its name.
    """
    sheet = read_sheet(text, each="row")
    plain = [re.sub(r"[\W_]", "", header).lower() for header in sheet.header]
    columns = {
        name: plain.index(header)
        for name, headers in _HEADERS.items()
        for header in reversed(headers)
        if header in plain
    }
    if "thing" not in columns:
        raise SheetError(f"The first line names the columns, and “{LABELS[2]}” is missing.")
    # A former segment may have the name of a present one.
    named = {**offered.former, **offered.segments}
    keys = {each.name.lower(): key for key, each in named.items()}
    for _, cells in sheet.rows:
        row = {name: cells[at] for name, at in columns.items() if at < len(cells)}
        # An unknown name is refused when the row is checked, because no choice has it.
        row["segment"] = keys.get(row.get("segment", "").lower(), row.get("segment", ""))
        yield row


def _named(items: Sequence[Item], text: str) -> Item | None:
    """Return the item with this key, else the first with this title."""
    by_key = (each for each in items if each.key == text)
    by_title = (each for each in items if each.title.lower() == text.lower())
    return next(by_key, None) or next(by_title, None) if text else None


def _name(item: Item, items: Sequence[Item]) -> str:
    """Return the title, or the key if the title would name another item."""
    return item.title if item.title and _named(items, item.title) == item else item.key


def check_number(rows: Sequence[Typed]) -> None:
    """Raise ValidationError if the table has too many rows."""
    if len(rows) > MOST_ROWS:
        raise ValidationError(f"The table has {len(rows)} rows. At most {MOST_ROWS} are kept.")
