"""The Celery tasks of the stages react, plan, dispatch and recover."""

from collections import Counter

from celery import shared_task

from common import stopping
from common.clock import utc_now
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from interventions.stages.recover import recover


@shared_task
def react_task() -> int:
    """Handle the waiting transitions."""
    return react_due(now=utc_now())


@shared_task
def plan_task() -> int:
    """Plan the steps that are due."""
    return plan_due(now=utc_now())


@shared_task
def dispatch_task() -> Counter[str]:
    """Send the messages that are due."""
    return dispatch_due(clock=utc_now, is_stopping=stopping.is_asked)


@shared_task
def recover_task() -> None:
    """Finish work that was left unfinished."""
    recover(now=utc_now())
