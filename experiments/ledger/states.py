"""What a report depends on besides the draws, as entries of a ledger hold it. Pure.

The protocol is locked, but some of this can change after the start: the coverage, the rules of the
segments, the settings of the courses. The first entry holds the state at the start, and each later
one of its kind the state from then on, so what changed follows from two of them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.json_text import canonical_json
from experiments.ledger.chain import Entry, LedgerError

# The fields that a restored experiment has too. The others describe the courses around it.
OWN = ("coverage", "name", "stopped_at", "ended_because", "winner")
_SETTINGS = {
    "pass_mark": "pass mark",
    "time_zone": "time zone",
    "starts_on": "first day",
    "ends_on": "last day",
}


@dataclass(frozen=True)
class State:
    """Coverage and name, the end and the winner if there are any, and the population.

    `segments` are the versions of their rules by key, `courses` their settings by key, as text.
    """

    coverage: str
    name: str
    segments: Mapping[str, int]
    courses: Mapping[str, Mapping[str, str]]
    stopped_at: str = ""
    ended_because: str = ""
    winner: str = ""

    def content(self, *, at: str) -> str:
        """Return it as the content of an entry, canonical JSON."""
        return canonical_json({"at": at, "state": asdict(self)})


@dataclass(frozen=True)
class Change:
    """A change in words. Where it has a course, the text has a place for its name."""

    text: str
    course: str = ""


def state_in(entry: Entry) -> State | None:
    """Return the state that the entry holds; None for the first entry of an earlier release.

    Raise LedgerError if it cannot be read.
    """
    try:
        found = json.loads(entry.content).get("state")
        return None if found is None else State(**found)
    except (AttributeError, TypeError, ValueError) as error:
        raise LedgerError(f"Entry {entry.position} of the ledger cannot be read.") from error


def own_difference(sealed: State, found: State) -> str:
    """Return the first of the experiment's own fields in which two states differ, as a clause."""
    for name in OWN:
        before, now = getattr(sealed, name), getattr(found, name)
        if before != now:
            return f"the {name} {now!r}, but {before!r} was sealed"
    return ""


def changes(before: State, now: State) -> Iterator[Change]:
    """Yield the deviations from the start that two states show. An end and a winner are none."""
    if before.coverage != now.coverage:
        yield Change(f"The coverage is {now.coverage} and was {before.coverage}.")
    if before.name != now.name:
        yield Change(f"The name is “{now.name}” and was “{before.name}”.")
    yield from _of_segments(before.segments, now.segments)
    for key in sorted({*before.courses, *now.courses}):
        yield from _of_course(key, before.courses.get(key), now.courses.get(key))


def _of_segments(before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[Change]:
    for key in sorted({*before, *now}):
        first, last = before.get(key), now.get(key)
        if first is None:
            yield Change(f"The segment “{key}” joined the population.")
        elif last is None:
            yield Change(f"The segment “{key}” left the population.")
        elif first != last:
            yield Change(
                f"The rule of the segment “{key}” was changed: version {last} after {first}."
            )


def _of_course(
    key: str, before: Mapping[str, str] | None, now: Mapping[str, str] | None
) -> Iterator[Change]:
    if before is None:
        yield Change("{course} joined the population.", key)
    elif now is None:
        yield Change("{course} left the population.", key)
    else:
        for name, words in _SETTINGS.items():
            first, last = _text(before, name), _text(now, name)
            if first != last:
                yield Change(f"The {words} of {{course}} is {last} and was {first}.", key)


def _text(found: Mapping[str, Any], name: str) -> str:
    return str(found.get(name, ""))
