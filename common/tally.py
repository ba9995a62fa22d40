"""Count what goes wrong in one run of a stage, for one line in the log at its end."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

# What went wrong, and the reason in the words of the code: an error's name, never its text.
Tally = Counter[tuple[str, str]]

_open: ContextVar[Tally | None] = ContextVar("tally", default=None)


@contextmanager
def tally() -> Iterator[Tally]:
    """Count what is noted in the block."""
    found: Tally = Counter()
    token = _open.set(found)
    try:
        yield found
    finally:
        _open.reset(token)


def note(what: str, reason: str, *, count: int = 1) -> None:
    """Count it once the open transaction commits; outside a tally, do nothing."""
    found = _open.get()
    if found is not None and count:
        # What is rolled back did not happen, and is tried again.
        transaction.on_commit(lambda: found.update({(what, reason): count}))


def in_words(found: Tally) -> str:
    """Return it as `3 in doubt (lease expired 3), 2 failed (refused 2)`; empty if there is none."""
    by_what: dict[str, Counter[str]] = {}
    for (what, reason), count in found.items():
        by_what.setdefault(what, Counter())[reason] += count
    return ", ".join(_words(what, reasons) for what, reasons in sorted(by_what.items()))


def _words(what: str, reasons: Counter[str]) -> str:
    named = [f"{reason} {count}" for reason, count in reasons.most_common()]
    return f"{reasons.total()} {what} ({', '.join(named)})".replace("_", " ")
