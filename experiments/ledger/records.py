"""What the entries of a ledger hold: the protocol, and the draws of units and sections. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from common.json_text import canonical_json
from experiments.ledger.chain import Entry, LedgerError
from experiments.ledger.states import State


@dataclass(frozen=True)
class SectionRecord:
    """The draw of a section, by the keys of its course and itself."""

    section: str
    arm: str
    bucket: int
    stratum: str
    position: int
    size: int
    at: str


@dataclass(frozen=True)
class ShareRecord:
    """The shares of an adaptive draw from a position on.

    `counts` are what was known by the instant: learners with the outcome, and all, by arm.
    """

    position: int
    at: str
    shares: Mapping[str, float]
    counts: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class DrawRecord:
    """The draw of a unit. `course` is the key of its course when the draw was sealed.

    Only draws in blocks and adaptive ones have a stratum and a position, only those of sections a
    section, and only those in a layer the learner's number. `period` is the position of the shares
    of an adaptive draw.
    """

    unit: str
    arm: str
    bucket: int
    at: str
    course: str
    stratum: str | None = None
    position: int | None = None
    section: str | None = None
    layer_unit: int | None = None
    period: int | None = None


@dataclass(frozen=True)
class Draws:
    """The content of one entry: draws of sections first, then of units, with their shares."""

    sections: tuple[SectionRecord, ...] = ()
    units: tuple[DrawRecord, ...] = ()
    shares: tuple[ShareRecord, ...] = ()

    def content(self) -> str:
        """Return it as canonical JSON."""
        content = {
            "sections": list(map(_plain, self.sections)),
            "units": list(map(_plain, self.units)),
        }
        if self.shares:
            # Other draws have none, and the text of their entries stays as in earlier releases.
            content["shares"] = list(map(_plain, self.shares))
        return canonical_json(content)

    @classmethod
    def read(cls, entry: Entry) -> "Draws":
        """Return the draws of the entry. Raise LedgerError if it cannot be read."""
        try:
            found = json.loads(entry.content)
            return cls(
                tuple(SectionRecord(**each) for each in found["sections"]),
                tuple(DrawRecord(**each) for each in found["units"]),
                tuple(ShareRecord(**each) for each in found.get("shares", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(f"Entry {entry.position} of the ledger cannot be read.") from error


def protocol_content(
    *, key: str, text: str, sha256: str, started_at: str, state: State | None
) -> str:
    """Return the content of the first entry. The protocol's text stays as it was locked.

    `state` is that at the start, or None if it is no longer known.
    """
    found = {"experiment": key, "protocol": text, "sha256": sha256, "started_at": started_at}
    known = {} if state is None else {"state": asdict(state)}
    return canonical_json(found | known)


def read_protocol_content(entry: Entry) -> dict[str, str]:
    """Return the content of the first entry. Raise LedgerError if it cannot be read."""
    try:
        found = json.loads(entry.content)
        return {name: found[name] for name in ("experiment", "protocol", "sha256", "started_at")}
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError("The first entry of the ledger holds no protocol.") from error


def difference(sealed: Any, found: Any) -> str:
    """Return the first field in which two records differ, such as "arm nudge, sealed control"."""
    for field in fields(sealed):
        # The key of a course may be corrected later, and decides nothing.
        if field.name == "course":
            continue
        before, now = getattr(sealed, field.name), getattr(found, field.name)
        if before != now:
            return f"the {field.name} {now!r}, but {before!r} was sealed"
    return ""


def first_difference(sealed: str, found: str) -> str:
    """Return the path of the first difference between two protocols, with both values."""
    try:
        before, now = json.loads(sealed), json.loads(found)
    except ValueError:
        return "the text is no JSON"
    return _path(before, now, "") or "only the way in which it is written"


def _path(before: Any, now: Any, path: str) -> str:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        pairs = [
            (f"{path}.{key}", before.get(key), now.get(key)) for key in sorted({*before, *now})
        ]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = [(f"{path}[{at}]", *pair) for at, pair in enumerate(zip(before, now, strict=True))]
    elif before != now:
        return f"{path.lstrip('.')} is {_short(now)}, and was {_short(before)} at the start"
    else:
        return ""
    return next(filter(None, (_path(old, new, name) for name, old, new in pairs)), "")


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _plain(record: SectionRecord | DrawRecord | ShareRecord) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if value is not None}
