"""The roster, the event log, its two read models, and the evaluation queue."""

from activity.models.due import (
    Due,
    DueCause,
    PastChange,
    Settling,
)
from activity.models.feeds import Feed, FeedCursor, FeedHold, FeedHour, FeedState
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
from activity.models.scope import (
    SHARED,
    SITE_ONLY,
    CourseScope,
    CourseScoped,
    shared_unless,
    through,
)

__all__ = [
    "SHARED",
    "SITE_ONLY",
    "Course",
    "CourseScope",
    "CourseScoped",
    "DailyActivity",
    "Due",
    "DueCause",
    "Enrollment",
    "Event",
    "Feed",
    "FeedCursor",
    "FeedHold",
    "FeedHour",
    "FeedState",
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
    "shared_unless",
    "through",
]
