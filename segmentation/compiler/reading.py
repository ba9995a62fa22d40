"""One statement that reads everything a set of rules asks about the enrollments of a course."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segmentation.compiler.clauses import from_clause, with_clause
from segmentation.compiler.conditions import compile_rule
from segmentation.compiler.due import next_due
from segmentation.compiler.signals import Compiled, compile_signal
from segmentation.compiler.sources import Sources, Subject
from segmentation.compiler.sql import indent
from segmentation.norms import NormsValues
from segmentation.rules import Condition, Group, conditions
from segmentation.signals import SignalRef


@dataclass(frozen=True)
class SegmentRules:
    """The rules of one segment, as parsed."""

    segment_id: int
    rule: Group
    leave_rule: Group | None = None

    def conditions(self) -> Iterator[Condition]:
        yield from conditions(self.rule)
        if self.leave_rule is not None:
            yield from conditions(self.leave_rule)


@dataclass(frozen=True)
class Reading:
    """A SELECT of one row an enrollment, and the names of its columns.

    Always there: enrollment_id, in_scope, over (out of scope for good) and next_due. `rule_columns`
    and `leave_columns` are by segment: true, false or null where unknown, and false out of scope.
    `signal_columns` are by export name.
    """

    sql: str
    params: dict[str, Any]
    rule_columns: dict[int, str]
    leave_columns: dict[int, str]
    signal_columns: dict[str, str]


def needs_norms(asked: Iterable[Condition | SignalRef]) -> bool:
    """Return whether any of the conditions or signals is measured against the course's norms."""
    return any(each.signal.needs_norms for each in asked)


def compile_reading(
    segments: Sequence[SegmentRules],
    *,
    course_id: int,
    as_of: datetime,
    enrollment_ids: list[int] | None,
    norms: NormsValues,
) -> Reading:
    """Return the statement that decides the rules of the segments for enrollments of one course.

    `enrollment_ids` None: all of the course. `norms` may be NO_NORMS where `needs_norms` is false.
    """
    return compile_rules(segments, Subject(course_id, as_of, enrollment_ids, norms))


def compile_rules(segments: Sequence[SegmentRules], subject: Subject) -> Reading:
    """Return the statement that decides the rules of the segments for the subject."""
    asked = [condition for segment in segments for condition in segment.conditions()]
    rules = {f"rule_{segment.segment_id}": segment.rule for segment in segments}
    leaves = {
        f"leave_{segment.segment_id}": segment.leave_rule
        for segment in segments
        if segment.leave_rule is not None
    }
    sql, sources = _compile([each.ref for each in asked], subject, asked, rules | leaves)
    return Reading(
        sql=sql,
        params=sources.params.values,
        rule_columns={segment.segment_id: f"rule_{segment.segment_id}" for segment in segments},
        leave_columns={int(name.removeprefix("leave_")): name for name in leaves},
        signal_columns={each.ref.column: each.ref.column for each in asked},
    )


def compile_signals(refs: Sequence[SignalRef], subject: Subject) -> Reading:
    """Return the statement that reads signals only: the columns of a Reading without rules."""
    sql, sources = _compile(refs, subject, [], {})
    names = {ref.column: ref.column for ref in refs}
    return Reading(sql, sources.params.values, {}, {}, names)


def _compile(
    refs: Sequence[SignalRef],
    subject: Subject,
    asked: list[Condition],
    rules: dict[str, Group],
) -> tuple[str, Sources]:
    sources = Sources(subject)
    compiled = {ref.column: compile_signal(ref, sources) for ref in dict.fromkeys(refs)}
    columns = [
        "r.enrollment_id",
        "r.in_scope",
        "r.over",
        f"{next_due(asked, compiled, sources)} AS next_due",
        *(
            f'r.in_scope AND ({compile_rule(rule, sources.params)}) AS "{name}"'
            for name, rule in rules.items()
        ),
        *(f'r."{name}"' for name in compiled),
    ]
    return f"{with_clause(sources)}\nSELECT {indent(columns)}\n{_read(compiled, sources)}", sources


def _read(compiled: dict[str, Compiled], sources: Sources) -> str:
    """Return the FROM clause of the statement: the alias r, with a column a signal."""
    columns = ["s.*"]
    for name, signal in compiled.items():
        columns.append(f'{signal.sql} AS "{name}"')
        if signal.anchor is not None:
            columns.append(f'{signal.anchor} AS "{name} since"')
    return f"FROM (SELECT {indent(columns)}\n    {from_clause(sources)}) r"
