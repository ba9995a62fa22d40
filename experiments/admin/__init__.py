"""Admin pages of experiments, arms, assignments and delivery outcomes."""

from experiments.admin.experiments import ExperimentAdmin
from experiments.admin.records import AssignmentAdmin

__all__ = ["AssignmentAdmin", "ExperimentAdmin"]
