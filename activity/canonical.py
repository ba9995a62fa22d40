"""Parse one canonical event dict, or say in a sentence why it cannot be stored. Pure."""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from activity.payloads import MAX_LEVELS, is_nested_deeper, storable
from activity.texts import key_text
from common.clock import read_instant
from common.json_text import kind_of
from common.stored_text import storable_text, unstorable

# The source of events that Nudgelab writes itself. An outside event with this source could look
# like a sent message, or could keep the event of a sent message from being stored.
OWN_SOURCE = "nudgelab"
# A source's clock may be slightly fast. Such an event waits for its instant.
EARLY_LIMIT = timedelta(minutes=5)

# A higher total is an error of the source. A million such events still fit into every sum.
MAX_COUNT = 1_000_000
MAX_VALUE = Decimal(10) ** 14
# No grading scale reaches this value.
MAX_SENT_SCORE = Decimal(10) ** 12
MAX_PROPERTIES = 1_000_000
SIX_PLACES = Decimal("0.000001")
SHOWN = 80
MAX_MESSAGE = 1_000

TEXT_LIMITS = {
    "course": 100,
    "learner": 200,
    "item": 200,
    "verb": 64,
    "source": 64,
    "source_id": 300,
}
FIELDS = frozenset({*TEXT_LIMITS, "occurred_at", "count", "score", "passed", "value", "properties"})
# An escaped NUL in JSON text. After an escaped backslash, `u0000` is plain text and is allowed.
ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Reason(StrEnum):
    """Why an event was not stored. The values are those of the model's RejectedReason."""

    UNKNOWN_COURSE = "unknown_course"
    UNKNOWN_LEARNER = "unknown_learner"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_VERB = "unknown_verb"
    BAD_SCORE = "bad_score"
    CONFLICT = "conflict"
    BAD_TIME = "bad_time"
    EARLY = "early"
    FUTURE = "future"
    BAD_FIELD = "bad_field"


class Refused(Exception):  # noqa: N818 an event is refused, the program is not in error
    """An event cannot be stored. `replay_at` is set if it can be stored at that later instant."""

    def __init__(self, reason: Reason, message: str, replay_at: datetime | None = None) -> None:
        self.message = storable_text(message[:MAX_MESSAGE])
        super().__init__(self.message)
        self.reason = reason
        self.replay_at = replay_at


class CanonicalEvent(NamedTuple):
    """An event with typed fields. Its keys are not looked up yet."""

    course: str
    learner: str
    item: str | None
    verb: str
    occurred_at: datetime
    total: int
    score: Decimal | None
    passed: bool | None
    value: Decimal | None
    properties: str
    source: str
    source_id: str
    # The score as sent, if it was outside 0 to 1 and was cut.
    sent_score: float | None


def read_event(raw: object, *, now: datetime) -> CanonicalEvent:
    """Return the event with typed fields. Raise Refused with a sentence for staff."""
    if not isinstance(raw, Mapping):
        raise _bad(f"An event must be an object, but this one is {kind_of(raw)}.")
    if not FIELDS.issuperset(raw):
        unknown = next(name for name in raw if name not in FIELDS)
        raise _bad(f"The field {shown(unknown)} is unknown.")
    get = raw.get
    score, sent_score = (None, None) if get("score") is None else _score(get("score"))
    event = CanonicalEvent(
        course=_text("course", get("course")),
        learner=_text("learner", get("learner")),
        item=None if get("item") is None else _text("item", get("item")),
        verb=_text("verb", get("verb")),
        occurred_at=_instant(get("occurred_at")),
        total=_count(get("count", 1)),
        score=score,
        passed=None if get("passed") is None else _passed(get("passed")),
        value=None if get("value") is None else _value(get("value")),
        properties=_properties(get("properties")),
        source=_source(get("source")),
        source_id=_text("source_id", get("source_id")),
        sent_score=sent_score,
    )
    _check_total(event)
    _check_not_ahead(event.occurred_at, now)
    return event


def shown(value: object) -> str:
    """Return the value quoted and shortened for use in a sentence."""
    text = storable_text(value if isinstance(value, str) else str(storable(value)))
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}...'"


def _bad(message: str) -> Refused:
    return Refused(Reason.BAD_FIELD, message)


def _text(name: str, sent: object) -> str:
    value = sent if type(sent) is str and sent.isascii() else key_text(sent)
    if not isinstance(value, str):
        if value is None:
            raise _bad(f"The field {name} is missing.")
        raise _bad(f"{name} must be text, but is {kind_of(value)}.")
    if not value or value.isspace():
        raise _bad(f"{name} is empty.")
    if len(value) > TEXT_LIMITS[name]:
        raise _bad(
            f"{name} has {len(value):,} characters; at most {TEXT_LIMITS[name]} are allowed."
        )
    if not value.isascii() or "\0" in value:
        _check_storable(name, value)
    return value


def _source(value: object) -> str:
    source = _text("source", value)
    if source == OWN_SOURCE:
        raise _bad(f"The source {shown(source)} is reserved for Nudgelab's own events.")
    return source


def _check_storable(name: str, text: str) -> None:
    character = unstorable(text)
    if character:
        raise _bad(f"{name} contains {character}, which cannot be stored.")


def _instant(value: object) -> datetime:
    if value is None:
        raise Refused(Reason.BAD_TIME, "The field occurred_at is missing.")
    if not isinstance(value, datetime | str):
        raise Refused(Reason.BAD_TIME, f"occurred_at must be text, but is {kind_of(value)}.")
    try:
        return read_instant(value)
    except ValueError as error:
        raise Refused(Reason.BAD_TIME, f"occurred_at: {error}") from None


def _count(value: object) -> int:
    if type(value) is not int:
        raise _bad(f"count must be a whole number, but is {kind_of(value)}.")
    if not 1 <= value <= MAX_COUNT:
        raise _bad(f"count is {shown(value)}; it must be between 1 and {MAX_COUNT:,}.")
    return value


def _number(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _bad(f"{name} must be a number, but is {kind_of(value)}.")
    # Converted by its shortest text: 0.1 means 0.1, not the nearest binary number.
    return Decimal(str(value)) if isinstance(value, float) else Decimal(value)


def _score(value: object) -> tuple[Decimal, float | None]:
    """Return the score, cut to 0..1, and the score as sent if it was cut.

    Extra credit is above 1, and a scaled score can be as low as -1. The attempt counts
    nevertheless; only its grade is doubtful.
    """
    score = _number("score", value)
    if not score.is_finite() or abs(score) > MAX_SENT_SCORE:
        raise Refused(Reason.BAD_SCORE, f"score is {shown(value)}; it must be a number.")
    cut = min(max(score, Decimal(0)), Decimal(1))
    return cut.quantize(SIX_PLACES), None if cut == score else float(score)


def _value(value: object) -> Decimal:
    number = _number("value", value)
    if not number.is_finite() or abs(number) >= MAX_VALUE:
        raise _bad(f"value is {shown(value)}; it must be a number below a hundred trillion.")
    return number.quantize(SIX_PLACES)


def _passed(value: object) -> bool:
    if type(value) is not bool:
        raise _bad(f"passed must be true or false, but is {kind_of(value)}.")
    return value


def _properties(value: object) -> str:
    if not value and value in (None, {}):
        return "{}"
    if not isinstance(value, Mapping):
        raise _bad(f"properties must be an object, but is {kind_of(value)}.")
    # Checked before they are written as JSON, which would exceed the recursion limit.
    if is_nested_deeper(value, levels=MAX_LEVELS):
        raise _bad(f"properties are nested too deeply: at most {MAX_LEVELS} levels are allowed.")
    text = _json_text(dict(value))
    if len(text) > MAX_PROPERTIES:
        raise _bad(
            f"properties have {len(text):,} characters; at most {MAX_PROPERTIES:,} are allowed."
        )
    _check_storable("properties", text)
    if "\\u0000" in text and ESCAPED_NUL.search(text):
        raise _bad("properties contain a NUL character, which cannot be stored.")
    return text


def _json_text(properties: dict[Any, Any]) -> str:
    try:
        return json.dumps(properties, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _bad(f"properties cannot be written as JSON: {error}.") from None


def _check_total(event: CanonicalEvent) -> None:
    if event.total > 1 and not (event.score is None and event.passed is None):
        raise _bad(f"count is {event.total}: score and passed are allowed only with a count of 1.")


def _check_not_ahead(instant: datetime, now: datetime) -> None:
    if instant <= now:
        return
    ahead = f"occurred_at {instant.isoformat()} is {_length(instant - now)} ahead of now"
    if instant - now <= EARLY_LIMIT:
        message = f"{ahead}: it is kept now and stored automatically when its time has come."
        raise Refused(Reason.EARLY, message, replay_at=instant)
    raise Refused(Reason.FUTURE, f"{ahead}; at most 5 minutes are allowed.")


def _length(duration: timedelta) -> str:
    # Each unit is used up to two of the next one, so that a wrong year is easy to see.
    seconds = math.ceil(duration.total_seconds())
    for unit, size, limit in (("s", 1, 120), ("min", 60, 7_200), ("hours", 3_600, 172_800)):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400:,} days"
