"""The types of the signal catalogue. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from common.json_text import canonical_json
from segmentation.signals.needs import Need
from segmentation.signals.sources import Sources

# A signal as a reading gives it: a count, a rate, a number of days, a trait as it is stored, or
# unknown.
SignalValue = int | float | str | list[Any] | dict[str, Any] | None

# A year and a day: a window longer than any course would only cost a longer scan.
MAX_WINDOW = 366


class SignalKind(StrEnum):
    """What a signal's value is; `change` is a difference of counts and may be negative.

    A `trait` is a text, a number, true or false, or a list of them, and compared by what it is.
    """

    COUNT = "count"
    CHANGE = "change"
    RATE = "rate"
    DAYS = "days"
    TRAIT = "trait"


class Window(StrEnum):
    """Whether a condition says over how many days; `optional`: left out means "since the start"."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True)
class Compiled:
    """A signal's SQL in one statement, over the aliases of its `Sources`.

    `daily`: its value can change at local midnight without any event. `anchor`: for days since
    something, the SQL of that instant: its thresholds fall due at exact times after it. `alias` is
    the column that it becomes: a name of no more than letters and digits, whatever its arguments.
    """

    sql: str
    daily: bool = True
    anchor: str | None = None
    alias: str = ""

    @property
    def since(self) -> str:
        """Return the column of the anchor."""
        return f"{self.alias}_since"


@dataclass(frozen=True, kw_only=True)
class Signal:
    """One entry of the catalogue: all that is known of a signal.

    `sentence` is a clause about the learner with `{amount}` ("at least 3 modules") and, where there
    is a window, `{when}` ("in the last 7 days") or `{days}` ("7 days"). `label` names the signal.
    `unit` is singular and plural, for signals whose clause names what is counted. `args` are the
    further keys that a condition must have. `within_window` says that the value counts days of its
    window and cannot be more. `sql` compiles it; `needs` is what that may read.
    """

    name: str
    kind: SignalKind
    window: Window
    label: str
    sentence: str
    help: str
    needs: frozenset[Need]
    sql: Callable[["SignalRef", Sources], Compiled]
    unit: tuple[str, str] | None = None
    args: tuple[str, ...] = ()
    within_window: bool = False

    @property
    def is_trait(self) -> bool:
        return self.kind is SignalKind.TRAIT


@dataclass(frozen=True)
class SignalRef:
    """One signal as a rule asks for it: with its window (None: all or without) and arguments."""

    signal: Signal
    window: int | None = None
    args: tuple[str, ...] = ()

    @property
    def shape(self) -> dict[str, object]:
        """Return how rules name it: the field, its arguments by their names, the window if any."""
        arguments = dict(zip(self.signal.args, self.args, strict=True))
        window = {} if self.window is None else {"window": self.window}
        return {"field": self.signal.name, **arguments, **window}

    @cached_property
    def identity(self) -> str:
        """Return its shape as canonical JSON: what readings and memberships store its value by."""
        return canonical_json(self.shape)

    def compile(self, sources: Sources) -> Compiled:
        """Return its SQL, and note in `sources` what that reads."""
        sources.grant(self.signal.needs)
        return self.signal.sql(self, sources)

    @property
    def column(self) -> str:
        """Return its column in exports, of no other signal: active_days_7, trait_region."""
        parts = [self.signal.name]
        if self.args:
            # A colon parts the arguments, so one that has a colon has it written otherwise.
            parts.append(":".join(re.sub("[%:]", _escaped, each) for each in self.args))
        if self.window is not None:
            parts.append(str(self.window))
        elif self.signal.window is Window.OPTIONAL:
            parts.append("all")
        return "_".join(parts)


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):X}"
