"""The learners that a rule matches, at any instant."""

# Every value is bound; only texts from the compiler are put into the statement.
# ruff: noqa: S608

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from activity.models import Course, Enrollment
from segmentation.compiler import Reading, SegmentRules, compile_reading
from segmentation.queries.norms import norms_needed
from segmentation.queries.statements import fetched, with_learners
from segmentation.rules import Group


@dataclass(frozen=True)
class Preview:
    """The number of matches and of enrollments in scope, and the sorted external ids of matches."""

    matches: int
    of: int
    learners: list[str]


def match_rule(rule: Group, *, enrollment_ids: Sequence[int], as_of: datetime) -> set[int]:
    """Return those of the enrollments that are in scope and for which the rule is true.

    Two queries, and for each course one more (up to three if the rule needs norms).
    """
    by_course: dict[int, list[int]] = {}
    chosen = Enrollment.objects.filter(pk__in=enrollment_ids).values_list("course_id", "pk")
    for course_id, enrollment_id in chosen:
        by_course.setdefault(course_id, []).append(enrollment_id)
    courses = Course.objects.in_bulk(by_course)
    found: set[int] = set()
    for course_id, ids in by_course.items():
        reading = _read_rule(rule, courses[course_id], as_of=as_of, enrollment_ids=ids)
        sql = f"SELECT x.enrollment_id FROM ({reading.sql}) x WHERE x.{reading.rule_columns[0]}"
        found.update(enrollment_id for (enrollment_id,) in fetched(sql, reading.params))
    return found


def matching_enrollments(rule: Group, course: Course, *, as_of: datetime) -> set[int]:
    """Return the enrollments of the course for which the rule is true. One query, or up to three.

    Enrollments that are not in scope at the instant match no rule.
    """
    reading = _read_rule(rule, course, as_of=as_of, enrollment_ids=None)
    sql = f"SELECT x.enrollment_id FROM ({reading.sql}) x WHERE x.{reading.rule_columns[0]}"
    return {enrollment_id for (enrollment_id,) in fetched(sql, reading.params)}


def preview(rule: Group, course: Course, *, as_of: datetime) -> Preview:
    """Return the rule's matches in the course. One query, up to three if the rule needs norms."""
    reading = _read_rule(rule, course, as_of=as_of, enrollment_ids=None)
    sql = with_learners(reading, [reading.rule_columns[0]])
    rows = list(fetched(sql, reading.params))
    learners = sorted(learner for _, learner, matches in rows if matches)
    return Preview(matches=len(learners), of=len(rows), learners=learners)


def _read_rule(
    rule: Group, course: Course, *, as_of: datetime, enrollment_ids: list[int] | None
) -> Reading:
    """Return the reading of a rule without a segment. Its column is that of segment 0."""
    rules = SegmentRules(0, rule)
    return compile_reading(
        [rules],
        course_id=course.pk,
        as_of=as_of,
        enrollment_ids=enrollment_ids,
        norms=norms_needed(course, rules.needs(), as_of=as_of),
    )
