"""Everything that writes the activity tables."""

from activity.operations.due import (
    claim_due,
    fail_due,
    lock_due,
    pull_course,
    pull_due,
    push_due,
)
from activity.operations.ingest import IngestResult, Rejection, ingest, replay_rejected
from activity.operations.read_models import rebuild_read_models

__all__ = [
    "IngestResult",
    "Rejection",
    "claim_due",
    "fail_due",
    "ingest",
    "lock_due",
    "pull_course",
    "pull_due",
    "push_due",
    "rebuild_read_models",
    "replay_rejected",
]
