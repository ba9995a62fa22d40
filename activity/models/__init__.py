"""What learners did: roster, event log, its two read models, and the queue of what to evaluate."""

from activity.models.due import (
    Due,
    DueCause,
    PastChange,
    Settling,
)
from activity.models.log import (
    DailyActivity,
    Event,
    Progress,
    RejectedEvent,
    RejectedReason,
    Verb,
)
from activity.models.noes import NoKind, NoSource, PendingNo
from activity.models.roster import (
    Course,
    Enrollment,
    Item,
    ItemKind,
    Learner,
    Section,
)

__all__ = [
    "Course",
    "DailyActivity",
    "Due",
    "DueCause",
    "Enrollment",
    "Event",
    "Item",
    "ItemKind",
    "Learner",
    "NoKind",
    "NoSource",
    "PastChange",
    "PendingNo",
    "Progress",
    "RejectedEvent",
    "RejectedReason",
    "Section",
    "Settling",
    "Verb",
]
