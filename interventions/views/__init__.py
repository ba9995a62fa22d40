"""The pages of learners and staff."""

from interventions.views.clicks import click
from interventions.views.content_mapping import content_mapping
from interventions.views.deliverability import deliverability_page
from interventions.views.in_app import in_app_dismissed, in_app_messages, in_app_seen
from interventions.views.learner_pages import preferences, unsubscribe
from interventions.views.mailbox import mailbox, mailbox_message
from interventions.views.nudges import (
    delete_nudge,
    new_nudge,
    nudge,
    nudge_preview,
    nudge_summary,
    start_nudge,
    trial_link,
)
from interventions.views.provider_webhooks import provider_webhook
from interventions.views.sent import sent_message
from interventions.views.tasks import task_done, task_take, task_talk, tasks
from interventions.views.template_page import template, template_restore, template_test
from interventions.views.try_rule import try_rule

__all__ = [
    "click",
    "content_mapping",
    "delete_nudge",
    "deliverability_page",
    "in_app_dismissed",
    "in_app_messages",
    "in_app_seen",
    "mailbox",
    "mailbox_message",
    "new_nudge",
    "nudge",
    "nudge_preview",
    "nudge_summary",
    "preferences",
    "provider_webhook",
    "sent_message",
    "start_nudge",
    "task_done",
    "task_take",
    "task_talk",
    "tasks",
    "template",
    "template_restore",
    "template_test",
    "trial_link",
    "try_rule",
    "unsubscribe",
]
