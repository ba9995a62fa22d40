"""Number all rule changes, and pull the courses that each change affects."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from activity.models import DueCause
from activity.operations import pull_course
from segmentation.models import Playbook, PlaybookCourse, RulesRevision


def next_revision() -> int:
    """Take the next number. Its row stays locked until the transaction ends."""
    # One statement that also creates the row, for the first change in an empty database.
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segmentation_rulesrevision (id, number) VALUES (1, 1)"
            " ON CONFLICT (id) DO UPDATE SET number = segmentation_rulesrevision.number + 1"
            " RETURNING number"
        )
        (number,) = cursor.fetchone()
    return int(number)


def current_revision() -> int:
    """Return the number of the last committed change, 0 before the first."""
    return RulesRevision.objects.values_list("number", flat=True).filter(id=1).first() or 0


def note_change(playbook_id: int) -> int:
    """Number a change of the playbook. Its courses are pulled by the next evaluation."""
    number = next_revision()
    Playbook.objects.filter(id=playbook_id).update(changed_revision=number)
    return number


def note_norms(course_id: int) -> None:
    """Number a change of the course's norms. It is pulled by the next evaluation."""
    PlaybookCourse.objects.filter(course_id=course_id).update(norms_revision=next_revision())


def pull_changed(*, now: datetime, course_id: int | None = None) -> None:
    """Pull every course that has an unpulled change of rules or norms.

    Evaluation calls this, not the edit, for two reasons: saving a rule must not wait for a million
    rows, and after a killed process the next evaluation does the rest.
    """
    wanted = Greatest("playbook__changed_revision", "norms_revision")
    links = PlaybookCourse.objects.annotate(wanted=wanted).filter(pulled_revision__lt=F("wanted"))
    if course_id is not None:
        links = links.filter(course_id=course_id)
    reached: dict[int, list[tuple[int, int]]] = {}
    for link in links.order_by("course_id", "id"):
        reached.setdefault(link.course_id, []).append((link.id, link.wanted))
    for course, pairs in reached.items():
        _number_new_links([link for link, _ in pairs])
        # The cause stays "time", because the revision of a segment says whether it was edited.
        pull_course(course, at=now, cause=DueCause.TIME)
        _note_pulled(pairs)


def _number_new_links(link_ids: Sequence[int]) -> None:
    with transaction.atomic():
        new = PlaybookCourse.objects.filter(id__in=link_ids, added_revision__isnull=True)
        if new.exists():
            new.update(added_revision=next_revision())


def _note_pulled(pairs: Sequence[tuple[int, int]]) -> None:
    for link_id, revision in pairs:
        # Never to a lower number: another evaluation may have pulled a later change meanwhile.
        PlaybookCourse.objects.filter(id=link_id, pulled_revision__lt=revision).update(
            pulled_revision=revision
        )
