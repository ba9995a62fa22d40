"""Segment definitions, memberships, and the outbox of entries and leavings."""

from segmentation.models.archive import ArchivedTransition
from segmentation.models.definitions import (
    Playbook,
    PlaybookCourse,
    PlaybookMode,
    RulesRevision,
    Segment,
    SegmentStatus,
    SegmentVersion,
)
from segmentation.models.evaluations import EvaluationDay, Freeze
from segmentation.models.members import (
    Membership,
    Override,
    OverrideKind,
    Transition,
    TransitionCause,
    TransitionKind,
)
from segmentation.models.norms import Norms
from segmentation.models.surges import Surge, SurgeState, WaitingEntry

__all__ = [
    "ArchivedTransition",
    "EvaluationDay",
    "Freeze",
    "Membership",
    "Norms",
    "Override",
    "OverrideKind",
    "Playbook",
    "PlaybookCourse",
    "PlaybookMode",
    "RulesRevision",
    "Segment",
    "SegmentStatus",
    "SegmentVersion",
    "Surge",
    "SurgeState",
    "Transition",
    "TransitionCause",
    "TransitionKind",
    "WaitingEntry",
]
