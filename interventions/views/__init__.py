"""The pages of learners and staff."""

from interventions.views.learner_pages import preferences, unsubscribe
from interventions.views.mailbox import mailbox, mailbox_message

__all__ = ["mailbox", "mailbox_message", "preferences", "unsubscribe"]
