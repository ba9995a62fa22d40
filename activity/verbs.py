"""The built-in verbs: those that are acts of the learner and those that are not."""

ACTS = (
    "LOGIN",
    "VIEW_MODULE",
    "VIEW_ITEM",
    "PLAY_VIDEO",
    "DOWNLOAD_RESOURCE",
    "START_ASSIGNMENT",
    "SUBMIT_ASSIGNMENT",
    "ATTEMPT_QUIZ",
    "COMPLETE_ITEM",
    "COMPLETE_MODULE",
    "PURCHASE",
)

# These describe messages, not activity of the learner in the course.
NOT_ACTS = (
    "EMAIL_SENT",
    "EMAIL_OPENED",
    "EMAIL_CLICKED",
    "EMAIL_BOUNCED",
    "EMAIL_COMPLAINED",
    "TASK_OPENED",
    "IN_APP_SENT",
    "IN_APP_SEEN",
    "IN_APP_DISMISSED",
    "WEBHOOK_SENT",
    "UNSUBSCRIBED",
)

BUILT_IN = ACTS + NOT_ACTS
