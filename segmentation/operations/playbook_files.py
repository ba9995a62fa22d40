"""Write a playbook to a file, and apply a file to a playbook."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from hashlib import sha256

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from common.json_text import canonical_json
from segmentation.models import Playbook, PlaybookMode, Segment, SegmentStatus
from segmentation.operations.editing import state_of
from segmentation.operations.errors import EditedMeanwhileError, SegmentationError
from segmentation.operations.playbooks import lock_segments_of, set_mode
from segmentation.operations.segments import SegmentFields, create_segment, edit_segment
from segmentation.playbook_file import FileSegment, PlaybookFile, write_playbook

WORDS = {
    "name": "its name",
    "rule": "its rule",
    "leave_rule": "its rule for leaving",
    "priority": "its priority",
    "description": "its description",
}


_MEANWHILE = (
    "The file or the playbook is not as it was when you checked the file. Nothing was changed. Read"
    " below what the file would change now, then apply it."
)
_MODES = {
    PlaybookMode.EXCLUSIVE: "The playbook becomes exclusive: each learner is in one of its segments"
    " at most, and leaves the others.",
    PlaybookMode.OVERLAPPING: "The playbook becomes overlapping: a learner can be in several of its"
    " segments.",
}


@dataclass(frozen=True)
class Difference:
    """What a file changes, in a sentence: about a segment, or without `wanted` about the playbook.

    `segment` None: it is new.
    """

    sentence: str
    wanted: FileSegment | None = None
    segment: Segment | None = None


def playbook_file(playbook: Playbook) -> str:
    """Return the playbook's segments as YAML. Archived segments are left out. One query."""
    kept = playbook.segments.exclude(status=SegmentStatus.ARCHIVED).order_by("priority", "key")
    segments = tuple(_file_segment(segment) for segment in kept)
    return write_playbook(PlaybookFile(playbook.key, playbook.name, str(playbook.mode), segments))


def _file_segment(segment: Segment) -> FileSegment:
    names = [field.name for field in fields(FileSegment)]
    return FileSegment(**{name: getattr(segment, name) for name in names})


def differences(playbook: Playbook, file: PlaybookFile) -> list[Difference]:
    """Return what the file would change, first about the playbook, then by segment. One query.

    Segments that the file does not name stay as they are. Raise SegmentationError if it is the
    file of another playbook, or changes an archived segment.
    """
    if file.key != playbook.key:
        raise SegmentationError(
            f"The file is of the playbook “{file.key}”, and this is “{playbook.key}”."
        )
    present = {segment.key: segment for segment in playbook.segments.select_related("playbook")}
    return [*_of_playbook(playbook, file), *_differences(file, present)]


def state_of_differences(found: Iterable[Difference]) -> str:
    """Return a short text that changes with the differences and with the segments they are about.

    The page that shows the differences sends it back, so that what is applied is what was read.
    """
    states = [[each.sentence, state_of(each.segment) if each.segment else ""] for each in found]
    return sha256(canonical_json(states).encode()).hexdigest()[:16]


def _of_playbook(playbook: Playbook, file: PlaybookFile) -> Iterator[Difference]:
    if playbook.name != file.name:
        yield Difference(f"The playbook “{playbook.name}” is renamed to “{file.name}”.")
    if playbook.mode != file.mode:
        yield Difference(_MODES[PlaybookMode(file.mode)])


def _differences(file: PlaybookFile, present: dict[str, Segment]) -> Iterator[Difference]:
    for wanted in file.segments:
        segment = present.get(wanted.key)
        if segment is None:
            yield Difference(f"“{wanted.name}” is new. It begins as a draft.", wanted)
            continue
        now = _file_segment(segment)
        other = [words for name, words in WORDS.items() if _differs(now, wanted, name)]
        if other:
            if segment.status == SegmentStatus.ARCHIVED:
                raise SegmentationError(f"The segment “{segment.name}” is archived.")
            sentence = f"“{segment.name}” changes {' and '.join(other)}."
            yield Difference(sentence, wanted, segment)


def _differs(now: FileSegment, wanted: FileSegment, name: str) -> bool:
    return bool(getattr(now, name) != getattr(wanted, name))


@transaction.atomic
def apply_playbook_file(
    playbook_id: int,
    file: PlaybookFile,
    *,
    now: datetime,
    by: User | None = None,
    seen: str | None = None,
) -> list[Difference]:
    """Bring the playbook to the state of the file, and return what has changed.

    New segments are drafts. No learner is messaged or drawn by it, as by any edit. A second call
    with the same file changes nothing. Raise SegmentationError, with a sentence for the user, and
    EditedMeanwhileError if other differences than those with the state `seen` would be applied.
    """
    lock_segments_of(playbook_id)
    playbook = Playbook.objects.select_for_update(no_key=True).get(pk=playbook_id)
    found = differences(playbook, file)
    if seen is not None and found and seen != state_of_differences(found):
        raise EditedMeanwhileError(_MEANWHILE)
    set_mode(playbook_id, PlaybookMode(file.mode))
    Playbook.objects.filter(pk=playbook_id).update(name=file.name)
    for each in found:
        if each.wanted is not None:
            _apply(playbook_id, each.wanted, each.segment, now=now, by=by)
    return found


def _apply(
    playbook_id: int,
    wanted: FileSegment,
    segment: Segment | None,
    *,
    now: datetime,
    by: User | None,
) -> None:
    values = {field.name: getattr(wanted, field.name) for field in fields(SegmentFields)}
    try:
        if segment is None:
            create_segment(playbook_id, SegmentFields(**values), now=now, by=by)
        else:
            edit_segment(segment.pk, SegmentFields(**values), now=now, by=by)
    except ValidationError as error:
        raise SegmentationError(f"“{wanted.name}”: {' '.join(error.messages)}") from error
