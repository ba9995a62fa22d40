"""Count problems and reasons in one run of a stage, for its line in the log and the metrics."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

# Counts by problem and reason. A reason is a name from the code, never the text of an error.
Tally = Counter[tuple[str, str]]

_open: ContextVar[Tally | None] = ContextVar("tally", default=None)
_reasons: ContextVar[Counter[str] | None] = ContextVar("reasons", default=None)


@contextmanager
def tally() -> Iterator[Tally]:
    """Collect the counts of `note` during the block."""
    found: Tally = Counter()
    token = _open.set(found)
    try:
        yield found
    finally:
        _open.reset(token)


def note(what: str, reason: str, *, count: int = 1) -> None:
    """Count a problem when the open transaction commits. Outside a tally, do nothing."""
    found = _open.get()
    if found is not None and count:
        # Work that is rolled back is tried again, so it is not counted.
        transaction.on_commit(lambda: found.update({(what, reason): count}))


@contextmanager
def reasons() -> Iterator[Counter[str]]:
    """Collect the counts of `count_reason` during the block, as `outcome:reason`."""
    found: Counter[str] = Counter()
    token = _reasons.set(found)
    try:
        yield found
    finally:
        _reasons.reset(token)


def count_reason(outcome: str, reason: str, *, count: int = 1) -> None:
    """Count an outcome by its reason when the open transaction commits, for the metrics."""
    found = _reasons.get()
    if found is not None and count:
        transaction.on_commit(lambda: found.update({f"{outcome}:{reason}": count}))


def in_words(found: Tally) -> str:
    """Return the counts as `3 in doubt (lease expired 3), 2 failed (refused 2)`, or empty text."""
    by_what: dict[str, Counter[str]] = {}
    for (what, reason), count in found.items():
        by_what.setdefault(what, Counter())[reason] += count
    return ", ".join(_words(what, reasons) for what, reasons in sorted(by_what.items()))


def _words(what: str, reasons: Counter[str]) -> str:
    named = [f"{reason} {count}" for reason, count in reasons.most_common()]
    return f"{reasons.total()} {what} ({', '.join(named)})".replace("_", " ")
