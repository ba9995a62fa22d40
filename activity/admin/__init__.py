"""Admin pages of courses, learners and their activity, and base classes for other apps."""

from activity.admin import feeds, log
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
from activity.admin.buttons import Button, ButtonsAdmin
from activity.admin.exports import COURSE_ZONE, ENROLLED, Column, Export, ExportedList
from activity.admin.roster import (
    CourseAdmin,
    EnrollmentAdmin,
    LearnerAdmin,
    about_learner,
    by_enrollment,
    by_learner,
)

__all__ = [
    "COURSE_ZONE",
    "ENROLLED",
    "WHOLE_ID",
    "BigTableAdmin",
    "Button",
    "ButtonsAdmin",
    "Column",
    "CourseAdmin",
    "EnrollmentAdmin",
    "Export",
    "ExportedList",
    "KeptAdmin",
    "LearnerAdmin",
    "LinkedAdmin",
    "ReadOnlyAdmin",
    "RelatedFilter",
    "SendingAdmin",
    "StackInline",
    "TableInline",
    "about_learner",
    "by_enrollment",
    "by_learner",
    "feeds",
    "log",
    "viewer_of",
]
