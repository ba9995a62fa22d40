"""The page of one learner, and what staff can do for one learner."""

from config.views.learner.page import learner, learner_next, learner_older

__all__ = ["learner", "learner_next", "learner_older"]
