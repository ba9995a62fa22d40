"""Entries that are chained by their digests: who changes one must change all that follow. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from common.json_text import canonical_json

PROTOCOL, DRAWS = "protocol", "draws"


class LedgerError(ValueError):
    """The ledger cannot be read. The message is a sentence."""


@dataclass(frozen=True)
class Entry:
    """One entry: its content as canonical JSON, and the digest of all of it with the one before."""

    position: int
    kind: str
    content: str
    at: str
    previous_sha256: str
    sha256: str

    def computed(self) -> str:
        """Return the digest that the entry should have."""
        sealed = [self.previous_sha256, self.position, self.kind, self.at, self.content]
        return hashlib.sha256(canonical_json(sealed).encode()).hexdigest()


def next_entry(last: Entry | None, *, kind: str, content: str, at: str) -> Entry:
    """Return the entry that follows the last one, or the first one."""
    position, previous = (0, "") if last is None else (last.position + 1, last.sha256)
    entry = Entry(position, kind, content, at, previous, sha256="")
    return Entry(position, kind, content, at, previous, sha256=entry.computed())


def chain_fault(entries: Iterable[Entry]) -> str:
    """Return the first fault of the chain as a sentence, or nothing."""
    previous, expected = "", 0
    for entry in entries:
        name = f"Entry {entry.position} of the ledger ({entry.kind})"
        if entry.position != expected:
            return f"Entry {expected} of the ledger is missing: {entry.position} follows."
        if entry.sha256 != entry.computed():
            return f"{name} was changed: its content does not have its digest {entry.sha256[:12]}."
        if entry.previous_sha256 != previous:
            return f"{name} does not follow the entry before it: one of them was replaced."
        if (entry.kind == PROTOCOL) != (entry.position == 0):
            return f"{name} stands in the wrong place: the protocol is the first entry alone."
        previous, expected = entry.sha256, expected + 1
    return "" if expected else "The ledger has no entry."
