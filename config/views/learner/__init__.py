"""The page of one learner, and what staff can do for one learner."""

from config.views.learner.actions import (
    learner_hold,
    learner_resume,
    learner_segment,
    learner_send,
    learner_start,
    learner_stop,
)
from config.views.learner.page import learner, learner_next, learner_older

__all__ = [
    "learner",
    "learner_hold",
    "learner_next",
    "learner_older",
    "learner_resume",
    "learner_segment",
    "learner_send",
    "learner_start",
    "learner_stop",
]
