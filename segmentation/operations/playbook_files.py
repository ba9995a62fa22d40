"""Write a playbook to a file, and apply a file to a playbook."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from segmentation.models import Playbook, PlaybookMode, Segment, SegmentStatus
from segmentation.operations.errors import SegmentationError
from segmentation.operations.playbooks import set_mode
from segmentation.operations.segments import SegmentFields, create_segment, edit_segment
from segmentation.playbook_file import FileSegment, PlaybookFile, write_playbook

WORDS = {
    "name": "its name",
    "rule": "its rule",
    "leave_rule": "its rule for leaving",
    "priority": "its priority",
    "description": "its description",
}


@dataclass(frozen=True)
class Difference:
    """What a file changes about a segment, in a sentence. `segment` None: it is new."""

    wanted: FileSegment
    segment: Segment | None
    sentence: str


def playbook_file(playbook: Playbook) -> str:
    """Return the playbook's segments as YAML. Archived segments are left out. One query."""
    kept = playbook.segments.exclude(status=SegmentStatus.ARCHIVED).order_by("priority", "key")
    segments = tuple(_file_segment(segment) for segment in kept)
    return write_playbook(PlaybookFile(playbook.key, playbook.name, str(playbook.mode), segments))


def _file_segment(segment: Segment) -> FileSegment:
    names = [field.name for field in fields(FileSegment)]
    return FileSegment(**{name: getattr(segment, name) for name in names})


def differences(playbook: Playbook, file: PlaybookFile) -> list[Difference]:
    """Return what the file would change, segment by segment. One query.

    Segments that the file does not name stay as they are. Raise SegmentationError if it is the
    file of another playbook, or changes an archived segment.
    """
    if file.key != playbook.key:
        raise SegmentationError(
            f"The file is of the playbook “{file.key}”, and this is “{playbook.key}”."
        )
    present = {segment.key: segment for segment in playbook.segments.select_related("playbook")}
    return list(_differences(file, present))


def _differences(file: PlaybookFile, present: dict[str, Segment]) -> Iterator[Difference]:
    for wanted in file.segments:
        segment = present.get(wanted.key)
        if segment is None:
            yield Difference(wanted, None, f"“{wanted.name}” is new. It begins as a draft.")
            continue
        now = _file_segment(segment)
        other = [words for name, words in WORDS.items() if _differs(now, wanted, name)]
        if other:
            if segment.status == SegmentStatus.ARCHIVED:
                raise SegmentationError(f"The segment “{segment.name}” is archived.")
            yield Difference(wanted, segment, f"“{segment.name}” changes {' and '.join(other)}.")


def _differs(now: FileSegment, wanted: FileSegment, name: str) -> bool:
    return bool(getattr(now, name) != getattr(wanted, name))


@transaction.atomic
def apply_playbook_file(
    playbook_id: int, file: PlaybookFile, *, now: datetime, by: User | None = None
) -> list[Difference]:
    """Bring the playbook to the state of the file, and return what has changed.

    New segments are drafts. No learner is messaged or drawn by it, as by any edit. A second call
    with the same file changes nothing. Raise SegmentationError, with a sentence for the user.
    """
    playbook = Playbook.objects.select_for_update(no_key=True).get(pk=playbook_id)
    found = differences(playbook, file)
    set_mode(playbook_id, PlaybookMode(file.mode))
    Playbook.objects.filter(pk=playbook_id).update(name=file.name)
    for each in found:
        _apply(playbook_id, each, now=now, by=by)
    return found


def _apply(playbook_id: int, each: Difference, *, now: datetime, by: User | None) -> None:
    values = {field.name: getattr(each.wanted, field.name) for field in fields(SegmentFields)}
    try:
        if each.segment is None:
            create_segment(playbook_id, SegmentFields(**values), now=now, by=by)
        else:
            edit_segment(each.segment.pk, SegmentFields(**values), now=now, by=by)
    except ValidationError as error:
        raise SegmentationError(f"“{each.wanted.name}”: {' '.join(error.messages)}") from error
