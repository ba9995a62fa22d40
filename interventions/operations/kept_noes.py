"""Opt-outs that come in while the database is down. Each is kept in a file until it is applied.

The learner is told that they are unsubscribed, so the opt-out must not be lost.
"""

import json
import logging
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from django.conf import settings

from common.database import is_outage
from interventions.operations.consent import unsubscribe_as_said
from interventions.render.links import LinkOwner

# Each link makes one file, however often it is used, so only many learners can fill the folder. A
# file takes a block of 4 KiB, so all of them take 80 MiB.
MOST_FILES = 20_000
WAITING, TAKEN, DRAFT, SET_ASIDE = ".no", ".taken", ".draft", ".bad"
# An older draft was left by a process that was killed before it answered.
DRAFTS_AGE = timedelta(hours=1)

log = logging.getLogger(__name__)


class NotKeptError(Exception):
    """The opt-out could not be written, so it must not be confirmed."""


@dataclass(frozen=True)
class _Kept:
    owner: LinkOwner
    source: str
    said_at: datetime


def keep_no(owner: LinkOwner, *, source: str, said_at: datetime) -> None:
    """Write to a file that the link's owner wants no more messages. Raise NotKeptError.

    The file is on the disk when this returns. The same link used again replaces its file.
    """
    folder = Path(settings.KEPT_NOES_DIR)
    target = folder / f"{owner.delivery_key.hex}{WAITING}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not target.exists() and sum(1 for _ in folder.iterdir()) >= MOST_FILES:
            raise NotKeptError(f"{folder} already holds {MOST_FILES} files")
        _write(target, _text(_Kept(owner, source, said_at)))
        # A new file survives a loss of power only if its folder is synced too.
        for each in (folder, folder.parent):
            _sync(each)
    except OSError as error:
        raise NotKeptError(f"{folder} cannot be written to: {error.strerror}") from error


def apply_kept_noes(*, now: datetime) -> None:
    """Apply the kept opt-outs, each as of the instant at which it was made.

    Applying one twice is harmless, so several processes may run this at once. A database outage is
    raised, and no opt-out is lost.
    """
    gone = 0
    for path in _waiting(Path(settings.KEPT_NOES_DIR), now=now):
        taken = _take(path)
        if taken is not None:
            gone += not _apply(taken, now=now)
    if gone:
        log.warning("%d kept opt-outs were of learners who have been deleted", gone)


def _apply(taken: Path, *, now: datetime) -> bool:
    """Apply one opt-out. Return False if the learner does not exist."""
    try:
        kept = _read(taken)
        known = unsubscribe_as_said(kept.owner, source=kept.source, at=kept.said_at, now=now)
        taken.unlink(missing_ok=True)
    except FileNotFoundError:
        # Another process has applied it.
        return True
    except Exception as error:
        if is_outage(error):
            raise
        # It would fail each time. The file is kept, and staff find it through this log entry.
        log.exception("A kept opt-out cannot be applied and is set aside: %s", taken)
        taken.rename(taken.with_suffix(SET_ASIDE))
        return True
    return known


def _waiting(folder: Path, *, now: datetime) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    for draft in (path for path in paths if path.suffix == DRAFT):
        _remove_old(draft, before=now - DRAFTS_AGE)
    return [path for path in paths if path.suffix in (WAITING, TAKEN)]


def _take(path: Path) -> Path | None:
    """Rename the file, so that a later opt-out by the same link is not removed with this one."""
    if path.suffix == TAKEN:
        # Left by a killed process or in use by a running one. Applying it twice is harmless.
        return path
    taken = path.with_name(f"{path.stem}-{uuid4().hex}{TAKEN}")
    try:
        path.rename(taken)
    except FileNotFoundError:
        return None
    return taken


def _remove_old(draft: Path, *, before: datetime) -> None:
    try:
        if draft.stat().st_mtime < before.timestamp():
            draft.unlink()
    except FileNotFoundError:
        return


def _write(target: Path, text: str) -> None:
    """Write the file atomically, readable only by its owner."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=DRAFT)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(kept: _Kept) -> str:
    # The token is not stored: the link was checked, and a file on disk must not open a page.
    owner = kept.owner
    values = [owner.learner_id, owner.enrollment_id, owner.delivery_key.hex]
    return json.dumps([*values, kept.source, kept.said_at.isoformat()])


def _read(path: Path) -> _Kept:
    learner_id, enrollment_id, key, source, said_at = json.loads(path.read_text(encoding="utf-8"))
    owner = LinkOwner(int(learner_id), int(enrollment_id), UUID(key))
    return _Kept(owner, str(source), datetime.fromisoformat(said_at))
