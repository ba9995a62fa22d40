"""What a report depends on besides the draws, as entries of a ledger hold it. Pure.

The protocol is locked, but some of this can change after the start: the coverage, the rules of the
segments, the settings of the courses. The first entry holds the state at the start, and each later
one of its kind the state from then on, so what changed follows from two of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

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
    `received` are the digests of the cadences of each arm by their names, and `caps` the frequency
    caps of single arms as sentences. Both are null where they are not known.
    """

    coverage: str
    name: str
    segments: Mapping[str, int]
    courses: Mapping[str, Mapping[str, str]]
    stopped_at: str = ""
    ended_because: str = ""
    winner: str = ""
    received: Mapping[str, Mapping[str, str]] | None = None
    caps: Sequence[str] | None = None

    def content(self, *, at: str) -> str:
        """Return it as the content of an entry, canonical JSON."""
        return canonical_json({"at": at, "state": asdict(self)})


class Received(NamedTuple):
    """What the arms get: digests of cadences by arm and name, and caps of single arms."""

    cadences: Mapping[str, Mapping[str, str]]
    caps: Sequence[str]


def received_of(state: State | None) -> Received | None:
    """Return what the arms got in the state, or None if that is not known."""
    if state is None or state.received is None or state.caps is None:
        return None
    return Received(state.received, state.caps)


def received_in(state: State, received: Received | None) -> State:
    """Return the state with what the arms get."""
    if received is None:
        return state
    return replace(state, received=received.cadences, caps=received.caps)


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
    was, gets = received_of(before), received_of(now)
    if was is not None and gets is not None:
        yield from _of_arms(was, gets)


def _of_arms(before: Received, now: Received) -> Iterator[Change]:
    for arm in sorted({*before.cadences, *now.cadences}):
        yield from _of_arm(arm, before.cadences.get(arm, {}), now.cadences.get(arm, {}))
    for cap in sorted({*before.caps, *now.caps}):
        if cap not in now.caps:
            yield Change(f"This frequency cap no longer holds: {cap}.")
        elif cap not in before.caps:
            yield Change(f"This frequency cap is new: {cap}.")


def _of_arm(arm: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*before, *now}):
        if name not in now:
            yield Change(f"The arm “{arm}” no longer gets “{name}”.")
        elif name not in before:
            yield Change(f"The arm “{arm}” gets “{name}” now.")
        elif before[name] != now[name]:
            yield Change(f"“{name}”, which the arm “{arm}” gets, was changed.")


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
