"""A playbook's segments as YAML for review in version control, and back. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from segmentation.rules import RuleError, canonical_rule, in_english

MOST_CHARACTERS = 300_000
MOST_SEGMENTS = 200
MODES = ("overlapping", "exclusive")
MOST_NAME = 200
_KEY = re.compile("[-a-zA-Z0-9_]{1,100}")
_UNUSUAL_BREAK = re.compile("[\x85\u2028\u2029]")
_TEXTS = ("key", "name", "description")
_REQUIRED = ("key", "name", "rule")
_KNOWN = frozenset({*_TEXTS, "priority", "rule", "leave_rule"})


class PlaybookFileError(Exception):
    """The file is not a playbook. The message is a sentence that names the place."""


@dataclass(frozen=True)
class FileSegment:
    """A segment of a file. `rule` and `leave_rule` are JSON values that the parser accepts."""

    key: str
    name: str
    rule: Any
    leave_rule: Any = None
    priority: int = 100
    description: str = ""


@dataclass(frozen=True)
class PlaybookFile:
    """The contents of a file."""

    key: str
    name: str
    mode: str
    segments: tuple[FileSegment, ...]


class _Loader(yaml.SafeLoader):
    """Reads plain values. Aliases are refused: a small file with them can become a huge value."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise PlaybookFileError("A file of a playbook has no aliases (*name). Write it out.")
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            # The library fails on a day such as 2026-13-45, and on a tag that does not fit.
            line = node.start_mark.line + 1
            raise PlaybookFileError(
                f"A value at line {line} cannot be read. Put a text in quotes."
            ) from None

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        keys = Counter(key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode))
        for key in (key for key, number in keys.items() if number > 1):
            line = node.start_mark.line + 1
            raise PlaybookFileError(f"“{key}” stands twice in the entry at line {line}.")
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Writes plain values. Unusual line breaks are escaped, else they would be lost."""


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _UNUSUAL_BREAK.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def write_playbook(file: PlaybookFile) -> str:
    """Return the file as YAML, with each rule in English as a comment above it."""
    head = {"key": file.key, "name": file.name, "mode": file.mode}
    return _yaml(head) + "segments:\n" + "".join(map(_written, file.segments))


def _written(segment: FileSegment) -> str:
    fields = {name: getattr(segment, name) for name in FileSegment.__dataclass_fields__}
    texts = {name: fields.pop(name) for name in ("key", "name", "description", "priority")}
    parts = [_yaml(texts), _commented("rule", fields["rule"])]
    if segment.leave_rule is not None:
        parts.append(_commented("leave_rule", segment.leave_rule))
    # Not splitlines(): a text may hold other characters that end a line for it.
    lines = "".join(parts).rstrip("\n").split("\n")
    return "".join(f"{'- ' if place == 0 else '  '}{line}\n" for place, line in enumerate(lines))


def _commented(name: str, rule: Any) -> str:
    # A comment cannot hold a line break or a control character, and a trait may.
    words = "".join(filter(str.isprintable, " ".join(in_english(rule).split())))
    return f"# {words}\n" + _yaml({name: rule})


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def read_playbook(text: str) -> PlaybookFile:
    """Return the playbook of the file. Raise PlaybookFileError with the place of the fault."""
    if len(text) > MOST_CHARACTERS:
        raise PlaybookFileError(f"The file is longer than {MOST_CHARACTERS:,} characters.")
    try:
        shape = yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise PlaybookFileError(f"This is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise PlaybookFileError("The file is nested too deeply.") from None
    return _playbook(shape)


def _playbook(shape: Any) -> PlaybookFile:
    if not isinstance(shape, Mapping):
        raise PlaybookFileError("The file has no entries key, name, mode and segments.")
    _refuse_unknown(shape, {"key", "name", "mode", "segments"}, "The file")
    segments = shape.get("segments")
    if not isinstance(segments, list) or len(segments) > MOST_SEGMENTS:
        raise PlaybookFileError(f"“segments” must be a list of at most {MOST_SEGMENTS} segments.")
    if shape.get("mode") not in MODES:
        raise PlaybookFileError("“mode” must be overlapping or exclusive.")
    found = tuple(_segment(each, place) for place, each in enumerate(segments, 1))
    keys = [each.key for each in found]
    for key in keys:
        if keys.count(key) > 1:
            raise PlaybookFileError(f"Two segments have the key “{key}”.")
    return PlaybookFile(
        _text(shape, "key", "The file"), _text(shape, "name", "The file"), shape["mode"], found
    )


def _segment(shape: Any, place: int) -> FileSegment:
    where = f"Segment {place}"
    if not isinstance(shape, Mapping):
        raise PlaybookFileError(f"{where} has no entries key, name and rule.")
    where = f"Segment {place} (“{shape.get('key')}”)"
    _refuse_unknown(shape, _KNOWN, where)
    for name in _REQUIRED:
        if name not in shape:
            raise PlaybookFileError(f"{where} has no “{name}”.")
    priority = shape.get("priority", 100)
    if type(priority) is not int or not 0 <= priority <= 2_147_483_647:
        raise PlaybookFileError(f"{where}: “priority” must be a whole number from 0 on.")
    texts = {name: _text(shape, name, where) for name in _TEXTS if name in shape}
    rules = dict(_rules(shape, where))
    return FileSegment(**texts, **rules, priority=priority)


def _rules(shape: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    for name in ("rule", "leave_rule"):
        if shape.get(name) is not None:
            try:
                rule = canonical_rule(shape[name])
            except RuleError as error:
                raise PlaybookFileError(f"{where}: “{name}” has a fault. {error}.") from None
            yield name, rule


def _text(shape: Mapping[str, Any], name: str, where: str) -> str:
    value = shape.get(name)
    # YAML reads a bare no as false and 007 as a number.
    if not isinstance(value, str):
        raise PlaybookFileError(f"{where}: “{name}” must be a text. Put it in quotes.")
    if name == "key" and not _KEY.fullmatch(value):
        raise PlaybookFileError(
            f"{where}: “key” must have 1 to 100 letters, digits, hyphens or underscores."
        )
    if name == "name" and not 1 <= len(value) <= MOST_NAME:
        raise PlaybookFileError(f"{where}: “name” must have 1 to {MOST_NAME} characters.")
    if "\0" in value:
        raise PlaybookFileError(f"{where}: “{name}” has a character that cannot be stored.")
    return value


def _refuse_unknown(shape: Mapping[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    unknown = sorted(str(key) for key in set(shape) - known)
    if unknown:
        raise PlaybookFileError(f"{where} has an entry “{unknown[0]}” that is not known.")
