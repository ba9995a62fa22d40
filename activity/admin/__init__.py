"""Admin pages of courses, learners and their activity, and base classes for other apps."""

from activity.admin import log
from activity.admin.bases import (
    WHOLE_ID,
    BigTableAdmin,
    KeptAdmin,
    LinkedAdmin,
    ReadOnlyAdmin,
    RelatedFilter,
    SendingAdmin,
    StackInline,
    TableInline,
    viewer_of,
)
from activity.admin.roster import (
    CourseAdmin,
    EnrollmentAdmin,
    LearnerAdmin,
    by_enrollment,
    by_learner,
)

__all__ = [
    "WHOLE_ID",
    "BigTableAdmin",
    "CourseAdmin",
    "EnrollmentAdmin",
    "KeptAdmin",
    "LearnerAdmin",
    "LinkedAdmin",
    "ReadOnlyAdmin",
    "RelatedFilter",
    "SendingAdmin",
    "StackInline",
    "TableInline",
    "by_enrollment",
    "by_learner",
    "log",
    "viewer_of",
]
