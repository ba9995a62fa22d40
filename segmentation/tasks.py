"""The Celery task of the evaluate stage."""

from celery import shared_task

from common.clock import utc_now
from segmentation.operations import EvaluationCounts
from segmentation.stages.evaluate import evaluate_due


@shared_task
def evaluate_due_task() -> EvaluationCounts:
    """Evaluate the enrollments that are due."""
    return evaluate_due(now=utc_now())
