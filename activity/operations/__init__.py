"""The operations that write the activity tables."""

from activity.operations.due import (
    claim_due,
    fail_due,
    lock_due,
    pull_course,
    pull_due,
    push_due,
)
from activity.operations.edits import count_edits, settle_edit, settle_edits
from activity.operations.effects import save_edited
from activity.operations.feeds import measure_feeds, trust_feed
from activity.operations.ingest import IngestResult, Rejection, ingest, replay_rejected
from activity.operations.live import go_live
from activity.operations.noes import NoOfMessage, keep_noes_of_messages
from activity.operations.outline import save_outline
from activity.operations.own_events import (
    MessageEvent,
    append_message_events,
    append_own_event,
)
from activity.operations.read_models import rebuild_read_models
from activity.operations.repeats import correct_events
from activity.operations.roster import (
    save_course,
    save_enrollment,
    save_item,
    save_learner,
    save_section,
)
from activity.operations.roster_values import RosterError
from activity.operations.zones import OldZonesError, ensure_zones

__all__ = [
    "IngestResult",
    "MessageEvent",
    "NoOfMessage",
    "OldZonesError",
    "Rejection",
    "RosterError",
    "append_message_events",
    "append_own_event",
    "claim_due",
    "correct_events",
    "count_edits",
    "ensure_zones",
    "fail_due",
    "go_live",
    "ingest",
    "keep_noes_of_messages",
    "lock_due",
    "measure_feeds",
    "pull_course",
    "pull_due",
    "push_due",
    "rebuild_read_models",
    "replay_rejected",
    "save_course",
    "save_edited",
    "save_enrollment",
    "save_item",
    "save_learner",
    "save_outline",
    "save_section",
    "settle_edit",
    "settle_edits",
    "trust_feed",
]
