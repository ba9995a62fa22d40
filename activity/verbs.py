"""The verbs that every installation knows, and which of them are acts of the learner."""

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

# What happens to a message is not something the learner did in the course.
NOT_ACTS = (
    "EMAIL_SENT",
    "EMAIL_OPENED",
    "EMAIL_CLICKED",
    "EMAIL_BOUNCED",
    "EMAIL_COMPLAINED",
    "UNSUBSCRIBED",
)

BUILT_IN = ACTS + NOT_ACTS
