"""Find every fault of a rule at once, each with its place, for a page that shows them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from segmentation.rules.canonical import canonical_rule
from segmentation.rules.known import NOTHING_KNOWN, Known
from segmentation.rules.parse import MAX_DEPTH, read_json
from segmentation.rules.types import RuleError
from segmentation.signals import SIGNALS

# Far more than 200 conditions need. Reading a larger text would only keep the page waiting.
MAX_CHARACTERS = 200_000
# More faults at once help nobody.
MAX_FAULTS = 50
_PLACE = re.compile(r"((?:rules\[\d+\]\.?)*)(.*)")
_SUBJECTS = {
    "combinator": "The choice between all and at least one",
    "field": "The signal",
    "operator": "The comparison",
    "rules": "The group",
    "value": "The value",
    "window": "The number of days",
}
_ARGUMENTS = {each.key: f"“{each.label}”" for signal in SIGNALS for each in signal.args}
# The builder shows shares as percent and has a box for each number.
_SHORTER = {
    "must be a number, is text": "The value must be a number.",
    "must be a rate": "The value must be from 0% to 100%.",
    "must be a whole number of days": "The number of days must be a whole number.",
}
_VERBS = ("must ", "is ", "has ", "cannot ", "contains ", "takes ")


@dataclass(frozen=True)
class Found:
    """The data of a rule's text, None if it cannot be read, and its faults."""

    data: object
    faults: tuple[RuleError, ...]


def find_faults(text: str, known: Known = NOTHING_KNOWN) -> Found:
    """Return what the text says and the fault of each condition and group, from left to right."""
    if len(text) > MAX_CHARACTERS:
        reason = f"has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed"
        return Found(None, (RuleError("", reason),))
    try:
        data = read_json(text)
    except RuleError as error:
        return Found(None, (error,))
    faults = list(islice(_faults(data, "", 1, known), MAX_FAULTS))
    return Found(data, tuple(faults or _fault(data, known)))


def split_place(path: str) -> tuple[str, str]:
    """Return the path to the condition or group, and the key in it: "rules[0]" and "value"."""
    found = _PLACE.fullmatch(path)
    where, key = found.groups() if found else ("", path)
    return where.rstrip("."), re.sub(r"\[\d+\]$", "", key)


def sentence(fault: RuleError) -> str:
    """Return the fault as a sentence for a reader who sees its place."""
    _, key = split_place(fault.path)
    subject = (_SUBJECTS | _ARGUMENTS).get(key, f"“{key}”" if key else "The rule")
    for begin, words in _SHORTER.items():
        if fault.reason.startswith(begin):
            return words
    if fault.reason.startswith(_VERBS):
        return _ended(f"{subject} {fault.reason}")
    return _ended(f"{fault.reason[:1].upper()}{fault.reason[1:]}")


def _ended(text: str) -> str:
    # A suggestion ends with its question mark.
    return text if text.endswith("?") else f"{text}."


def _faults(data: object, path: str, depth: int, known: Known) -> Iterator[RuleError]:
    """Yield the faults of the conditions and of empty groups. Others are found by the parser."""
    rules = data.get("rules") if isinstance(data, Mapping) and "field" not in data else None
    if not isinstance(rules, list) or not rules:
        yield from (_moved(fault, path) for fault in _fault(_alone(data), known))
    elif depth < MAX_DEPTH:
        for index, part in enumerate(rules):
            where = f"{path}.rules[{index}]".lstrip(".")
            yield from _faults(part, where, depth + 1, known)


def _alone(part: object) -> dict[str, object]:
    return {"combinator": "and", "rules": [part]}


def _fault(data: object, known: Known) -> list[RuleError]:
    try:
        canonical_rule(data, known)
    except RuleError as error:
        return [error]
    return []


def _moved(fault: RuleError, path: str) -> RuleError:
    """Return the fault of a part that was read alone, with its path in the whole rule."""
    return RuleError(fault.path.replace("rules[0]", path, 1).lstrip("."), fault.reason)
