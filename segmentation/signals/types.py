"""The types of the signal catalogue. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from common.json_text import canonical_json
from segmentation.signals.arguments import Argument
from segmentation.signals.needs import Need
from segmentation.signals.sources import Sources

# The value of a signal in a reading: a count, a rate, a number of days, a trait as it is stored, or
# unknown.
SignalValue = int | float | str | list[Any] | dict[str, Any] | None

# A year and a day. A window longer than a course would only make the scan longer.
MAX_WINDOW = 366


class SignalKind(StrEnum):
    """The kind of a signal's value. `change` is a difference of counts and may be negative.

    A `number` is not negative and need not be whole, such as a quotient that may be above 1.
    An `amount` may be any number, such as a sum of payments and refunds. A `score` is 1 to 5.
    A `trait` is a text, a number, true or false, or a list of them, and is compared by its type.
    """

    COUNT = "count"
    CHANGE = "change"
    RATE = "rate"
    DAYS = "days"
    NUMBER = "number"
    AMOUNT = "amount"
    SCORE = "score"
    TRAIT = "trait"


class Window(StrEnum):
    """Whether a condition has a number of days. `optional`: without it, "since the start"."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


@dataclass(frozen=True)
class Compiled:
    """A signal's SQL in one statement, over the aliases of its `Sources`.

    `daily`: the value can change at local midnight without any event. `anchor`: for a signal "days
    since", the SQL of that instant; its thresholds are reached at exact times after it. `alias` is
    the name of the column, which has only letters and digits for any arguments.
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
    """One entry of the catalogue: everything about one signal.

    `sentence` is a clause about the learner with `{amount}` ("at least 3 modules") and, if there is
    a window, `{when}` ("in the last 7 days") or `{days}` ("7 days"). `label` names the signal.
    `unit` is singular and plural, for signals whose clause names what is counted. `args` are
    further keys of a condition. `within_window` means that the value counts days of the
    window and cannot exceed it. `unknown` is a clause, with `{when}` or `{arg}`, that says why the
    value is unknown; a signal that is always known has none. `sql` compiles the signal; `needs` are
    the sources that it reads.
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
    args: tuple[Argument, ...] = ()
    within_window: bool = False
    unknown: str = ""

    @property
    def is_trait(self) -> bool:
        return self.kind is SignalKind.TRAIT


@dataclass(frozen=True)
class SignalRef:
    """One signal in a rule, with its window (None: all, or no window) and its arguments.

    `args` has a text for each argument of the signal. It is empty for a filter that is not used.
    """

    signal: Signal
    window: int | None = None
    args: tuple[str, ...] = ()

    @property
    def shape(self) -> dict[str, object]:
        """Return the keys of a condition that name it: field, arguments, and window if any."""
        arguments = {argument.key: text for argument, text in self.arguments}
        window = {} if self.window is None else {"window": self.window}
        return {"field": self.signal.name, **arguments, **window}

    @cached_property
    def identity(self) -> str:
        """Return its shape as canonical JSON, the key of its value in readings and memberships."""
        return canonical_json(self.shape)

    @property
    def arguments(self) -> list[tuple[Argument, str]]:
        """Return the arguments that are given, with their texts."""
        return [pair for pair in zip(self.signal.args, self.args, strict=True) if pair[1]]

    def argument(self, argument: Argument) -> str:
        """Return the text of the argument, which is empty if it is a filter that is not used."""
        return dict(self.arguments).get(argument, "")

    @property
    def words(self) -> str:
        """Return the arguments as a part of a sentence: "PURCHASE about 'algebra'"."""
        return " ".join(argument.words.format(text) for argument, text in self.arguments)

    def compile(self, sources: Sources) -> Compiled:
        """Return its SQL, and add what it reads to `sources`."""
        sources.grant(self.signal.needs)
        return self.signal.sql(self, sources)

    @property
    def column(self) -> str:
        """Return its unique column name in exports: active_days_7, trait_region."""
        parts = [self.signal.name]
        if self.args:
            parts.append(":".join(_in_column(*each) for each in self.arguments))
        if self.window is not None:
            parts.append(str(self.window))
        elif self.signal.window is Window.OPTIONAL:
            parts.append("all")
        return "_".join(parts)


def _in_column(argument: Argument, text: str) -> str:
    # A colon separates the arguments, so a colon inside an argument is escaped.
    escaped = re.sub("[%:]", _escaped, text)
    return escaped if argument.required else f"{argument.key}={escaped}"


def _escaped(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):X}"
