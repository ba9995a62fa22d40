"""Read the plain values of a roster line into a row, or say in a sentence what is wrong."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from unicodedata import category

from django.core.exceptions import ValidationError
from django.db import models

from activity.canonical import shown
from activity.fields import KeyField
from activity.models import Course, Enrollment, Item, Learner, Section
from activity.payloads import storable
from activity.texts import key_text
from common.clock import read_day, read_instant
from common.json_text import kind_of
from common.stored_text import storable_text

# The fields that a roster line may name, beside the keys of other rows that are looked up.
OWN_FIELDS: dict[type[models.Model], frozenset[str]] = {
    Course: frozenset(
        {"key", "title", "time_zone", "locale", "starts_on", "ends_on", "pass_mark", "live_since"}
        | {
            "contact_email",
            "url",
            "clock_stopped_at",
            "late_after_hours",
            "late_events_start",
            "grace_days",
        }
    ),
    Section: frozenset({"key", "teacher", "teacher_email"}),
    Item: frozenset(
        {"key", "kind", "title", "position", "assigned_on", "due_on", "estimated_minutes", "topic"}
        | {"difficulty", "url"}
    ),
    Learner: frozenset(
        {"external_id", "email", "name", "given_name", "time_zone", "locale", "traits"}
        | {"opted_out"}
    ),
    Enrollment: frozenset({"enrolled_at", "withdrew_at", "completed_at", "unit_key", "traits"}),
}


# Texts that people only read. A fault in one of them does not reject the row.
DESCRIPTIONS = frozenset({"name", "given_name", "title", "teacher", "topic", "difficulty"})
MAX_MESSAGE = 1_000
MAX_ADDRESS = 254
# Control characters and halves of characters.
_UNSHOWN = frozenset({"Cc", "Cs"})
_SPACE = " "


class RosterError(ValueError):
    """A row of the roster cannot be saved. The message is a sentence that says why."""

    def __init__(self, message: str) -> None:
        # Faults are printed and written as JSON, which fails on half a character.
        super().__init__(storable_text(message[:MAX_MESSAGE]))


def key_in(values: Mapping[str, Any], name: str) -> str:
    """Return the key that the line must name. Raise RosterError if it is missing or not text."""
    key = optional_key_in(values, name)
    if key is None:
        raise RosterError(f"The field {name} is missing.")
    return key


def optional_key_in(values: Mapping[str, Any], name: str) -> str | None:
    """Return the key that the line names, or None. Raise RosterError if it is not text."""
    value = key_text(values.get(name))
    return None if value is None or value == "" else _one_line(name, value)


def instant_in(values: Mapping[str, Any], name: str) -> datetime | None:
    """Return the instant that the line names, or None. Raise RosterError if it is not a time."""
    return None if values.get(name) is None else _instant(name, values[name])


def fill(row: models.Model, values: Mapping[str, Any], *, looked_up: frozenset[str]) -> list[str]:
    """Set the row's own fields from the values and check each of them. Raise RosterError.

    Return a sentence for each doubtful detail that did not reject the row: an address to which no
    mail can be sent, a name that had to be corrected.
    """
    own = OWN_FIELDS[type(row)]
    for name in values:
        if name not in own and name not in looked_up:
            raise RosterError(f"The field {shown(name)} is unknown.")
    remarks: list[str] = []
    for name in own.intersection(values):
        setattr(row, name, _plain(row, name, values[name], remarks))
    if isinstance(row, Learner) and "email" in values:
        _address(row, values["email"], remarks)
    _check(row)
    return remarks


def _address(learner: Learner, sent: object, remarks: list[str]) -> None:
    """Set the learner's address. An unusable address is kept in another field, for staff."""
    text = sent.strip() if isinstance(sent, str) else sent
    learner.email, learner.unusable_email = None, ""
    if text is None or text == "":
        return
    column = learner._meta.get_field("email")
    try:
        learner.email = column.clean(text, learner)
    except ValidationError:
        kept = text if isinstance(text, str) else str(storable(text))
        learner.unusable_email = storable_text(kept)[:MAX_ADDRESS]
        remarks.append(f"email: no mail can be sent to {shown(text)}; the learner gets no email.")


def _check(row: models.Model) -> None:
    references = {f.name for f in row._meta.fields if f.is_relation}
    try:
        # References were looked up already; checking them again would take a query each.
        row.clean_fields(exclude=references)
        # The database would refuse the same values, but only with the name of a constraint.
        if isinstance(row, Course | Item):
            row.validate_constraints()
    except ValidationError as error:
        raise RosterError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    parts = []
    for name, faults in error.error_dict.items():
        for fault in faults:
            missing = fault.code in ("null", "blank")
            text = " ".join(fault.messages)
            prefix = "" if name == "__all__" else f"{name}: "
            parts.append(f"The field {name} is missing." if missing else f"{prefix}{text}")
    return " ".join(parts)


def _plain(row: models.Model, name: str, value: object, remarks: list[str]) -> object:
    column = row._meta.get_field(name)
    if value is None:
        return "" if isinstance(column, models.CharField) and not column.null else None
    if name == "email":
        return None
    if name in DESCRIPTIONS and isinstance(value, str) and isinstance(column, models.CharField):
        return _corrected(name, value, column.max_length, remarks)
    for kind, read in _READERS:
        if isinstance(column, kind):
            return read(name, value)
    return value


def _corrected(name: str, text: str, longest: int | None, remarks: list[str]) -> str:
    """Return the text on one line and no longer than the column."""
    # A line break in a name would end a mail header and begin another.
    one_line = "".join(_SPACE if category(char) in _UNSHOWN else char for char in text)
    corrected = (re.sub(" +", _SPACE, one_line).strip() if one_line != text else text)[:longest]
    if corrected != text:
        remarks.append(f"{name}: {shown(text)} is stored as {shown(corrected)}.")
    return corrected


def _key(name: str, value: object) -> str:
    return _one_line(name, key_text(value))


def _one_line(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise RosterError(f"{name} must be text, but is {kind_of(value)}.")
    if any(category(character) in _UNSHOWN for character in value):
        raise RosterError(f"{name} contains a line break or another character that is not visible.")
    return value


def _instant(name: str, value: object) -> datetime:
    if not isinstance(value, str | datetime):
        raise RosterError(f"{name} must be a time, but is {kind_of(value)}.")
    try:
        return read_instant(value)
    except ValueError as error:
        raise RosterError(f"{name}: {error}") from None


def _day(name: str, value: object) -> date:
    if not isinstance(value, str | date) or isinstance(value, datetime):
        raise RosterError(f"{name} must be a date, but is {kind_of(value)}.")
    try:
        return read_day(value)
    except ValueError as error:
        raise RosterError(f"{name}: {error}") from None


def _number(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise RosterError(f"{name} must be a number, but is {kind_of(value)}.")
    return Decimal(str(value))


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RosterError(f"{name} must be a whole number, but is {kind_of(value)}.")
    return value


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RosterError(f"{name} must be true or false, but is {kind_of(value)}.")
    return value


# The first match is used: a DateTimeField is a DateField too.
_READERS: tuple[tuple["type[models.Field[Any, Any]]", Callable[[str, object], object]], ...] = (
    (models.DateTimeField, _instant),
    (models.DateField, _day),
    (models.DecimalField, _number),
    (models.IntegerField, _whole),
    (models.BooleanField, _yes_or_no),
    (KeyField, _key),
    (models.CharField, _one_line),
)
