"""Enroll a whole class of new learners in a few statements."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from activity.models import Course, Due, Enrollment, Learner
from activity.operations.roster_values import fill, key_in

_LOOKED_UP = frozenset({"course", "learner", "section"})


@transaction.atomic
def enroll_new_learners(
    course: Course,
    learners: Sequence[Mapping[str, Any]],
    enrollments: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
) -> None:
    """Create the learners and their enrollments in the course, due for evaluation at `now`.

    The values are those of save_learner and save_enrollment. Each enrollment names its `learner`
    and its `section`. Raise RosterError for a faulty value and IntegrityError for a learner who
    exists already. In both cases no learner is enrolled.
    """
    people = {row.external_id: row for row in map(_learner, learners)}
    Learner.objects.bulk_create(people.values())
    sections = {section.key: section for section in course.sections.all()}
    rows = [
        Enrollment(
            course=course,
            learner=people[key_in(values, "learner")],
            section=sections[key_in(values, "section")],
        )
        for values in enrollments
    ]
    for row, values in zip(rows, enrollments, strict=True):
        fill(row, values, looked_up=_LOOKED_UP)
    Enrollment.objects.bulk_create(rows)
    Due.objects.bulk_create(Due(enrollment=row, due_at=now) for row in rows)


def _learner(values: Mapping[str, Any]) -> Learner:
    row = Learner()
    fill(row, values, looked_up=frozenset())
    return row
