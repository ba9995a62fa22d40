"""Compile one statement that evaluates a set of rules for enrollments of any number of courses."""

# Every value is bound; only constants of this package are put into the text.
# ruff: noqa: S608

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from segmentation.compiler.clauses import from_clause, with_clause
from segmentation.compiler.conditions import compile_rule
from segmentation.compiler.due import next_due
from segmentation.compiler.parts import part_table
from segmentation.norms import NormsValues
from segmentation.rules import Condition, Group, conditions
from segmentation.signals import (
    Compiled,
    LeftOut,
    Need,
    SignalRef,
    Sources,
    Subject,
    needs_of,
)
from segmentation.sql import indent


@dataclass(frozen=True)
class SegmentRules:
    """The parsed rules of one segment."""

    segment_id: int
    rule: Group
    leave_rule: Group | None = None

    def conditions(self) -> Iterator[Condition]:
        yield from conditions(self.rule)
        if self.leave_rule is not None:
            yield from conditions(self.leave_rule)

    def needs(self) -> frozenset[Need]:
        """Return the needs of all signals in the rules."""
        return needs_of(condition.ref for condition in self.conditions())


@dataclass(frozen=True)
class Reading:
    """A SELECT of one row per enrollment, and the names of its columns.

    It always has enrollment_id, course_id, in_scope, over (out of scope for good) and next_due.
    `rule_columns` and `leave_columns` are by segment. They are true, false, or null if unknown, and
    false out of scope. `signals` are the columns of the signals, by identity.
    """

    sql: str
    params: dict[str, Any]
    rule_columns: dict[int, str]
    leave_columns: dict[int, str]
    signals: dict[str, str]


def compile_reading(
    segments: Sequence[SegmentRules],
    *,
    course_id: int,
    as_of: datetime,
    enrollment_ids: list[int] | None,
    norms: NormsValues | None,
) -> Reading:
    """Return the statement that evaluates the rules of the segments in one course.

    `enrollment_ids` None means all of the course. `norms` may be None if no signal needs them.
    """
    return compile_rules(segments, [Subject(course_id, as_of, enrollment_ids, norms)])


def compile_rules(
    segments: Sequence[SegmentRules],
    subjects: Sequence[Subject],
    *,
    left_out: LeftOut | None = None,
) -> Reading:
    """Return the statement that evaluates the rules of the segments for the subjects.

    Either all subjects name their enrollments or none does.
    """
    refs = [each.ref for segment in segments for each in segment.conditions()]
    return _compile(refs, subjects, segments, left_out)


def compile_signals(refs: Sequence[SignalRef], subject: Subject) -> Reading:
    """Return the statement that reads only signals: a Reading without rules."""
    return _compile(refs, [subject], [], None)


def _compile(
    refs: Sequence[SignalRef],
    subjects: Sequence[Subject],
    segments: Sequence[SegmentRules],
    left_out: LeftOut | None,
) -> Reading:
    sources = Sources(is_whole=_is_whole(subjects), is_single=len(subjects) == 1, left_out=left_out)
    compiled = {
        ref.identity: replace(ref.compile(sources), alias=f"s{number}")
        for number, ref in enumerate(dict.fromkeys(refs))
    }
    aliases = {identity: signal.alias for identity, signal in compiled.items()}
    asked = [condition for segment in segments for condition in segment.conditions()]
    rules = {f"rule_{each.segment_id}": each.rule for each in segments}
    leaves = {f"leave_{each.segment_id}": each.leave_rule for each in segments if each.leave_rule}
    columns = [
        "r.enrollment_id",
        "k.course_id",
        "r.in_scope",
        "r.over",
        f"{next_due(asked, compiled, sources)} AS next_due",
        *(
            f"r.in_scope AND ({compile_rule(rule, sources.params, aliases)}) AS {name}"
            for name, rule in (rules | leaves).items()
        ),
        *(f"r.{alias}" for alias in aliases.values()),
    ]
    read = f"{with_clause(sources)}\nSELECT {indent(columns)}\n{_read(compiled, sources)}"
    # LATERAL: one plan, carried out for each course in turn, with its own days, items and norms.
    parts = part_table(subjects, sources)
    return Reading(
        sql=f"SELECT r.* FROM {parts} CROSS JOIN LATERAL (\n{read}\n) r",
        params=sources.params.values,
        rule_columns={each.segment_id: f"rule_{each.segment_id}" for each in segments},
        leave_columns={int(name.removeprefix("leave_")): name for name in leaves},
        signals=aliases,
    )


def _is_whole(subjects: Sequence[Subject]) -> bool:
    whole = {each.enrollment_ids is None for each in subjects}
    if len(whole) != 1:
        raise ValueError("Either all subjects of a reading name their enrollments, or none does.")
    return whole.pop()


def _read(compiled: dict[str, Compiled], sources: Sources) -> str:
    """Return the FROM clause of the statement: the alias r, with one column per signal."""
    columns = ["s.*"]
    for signal in compiled.values():
        columns.append(f"{signal.sql} AS {signal.alias}")
        if signal.anchor is not None:
            columns.append(f"{signal.anchor} AS {signal.since}")
    return f"FROM (SELECT {indent(columns)}\n    {from_clause(sources)}) r"
