"""The operations that write the segmentation tables."""

from segmentation.operations.archive import (
    ARCHIVED_TRANSITIONS,
    archive_transitions,
    look_for_transitions,
)
from segmentation.operations.editing import Typed, save_edit, save_new, state_of
from segmentation.operations.errors import EditedMeanwhileError, SegmentationError
from segmentation.operations.evaluation import EvaluationCounts
from segmentation.operations.forecast import Change, Forecast, forecast
from segmentation.operations.full import CourseEvaluation, evaluate_courses
from segmentation.operations.norms import ensure_norms
from segmentation.operations.outbox import (
    announce_members,
    fail_transitions,
    lock_members,
    mark_processed,
)
from segmentation.operations.overrides import (
    add_member,
    check_kept,
    clear_override,
    remove_member,
)
from segmentation.operations.playbook_files import (
    Difference,
    apply_playbook_file,
    differences,
    playbook_file,
    state_of_differences,
)
from segmentation.operations.playbooks import (
    add_courses,
    install_playbook,
    read_shipped,
    remove_course,
    set_mode,
    shipped_playbooks,
)
from segmentation.operations.segments import (
    SegmentFields,
    activate_segment,
    archive_segment,
    create_segment,
    edit_segment,
    thaw_segment,
)
from segmentation.operations.surges import decide_entries, discard_surge, let_in_surge

__all__ = [
    "ARCHIVED_TRANSITIONS",
    "Change",
    "CourseEvaluation",
    "Difference",
    "EditedMeanwhileError",
    "EvaluationCounts",
    "Forecast",
    "SegmentFields",
    "SegmentationError",
    "Typed",
    "activate_segment",
    "add_courses",
    "add_member",
    "announce_members",
    "apply_playbook_file",
    "archive_segment",
    "archive_transitions",
    "check_kept",
    "clear_override",
    "create_segment",
    "decide_entries",
    "differences",
    "discard_surge",
    "edit_segment",
    "ensure_norms",
    "evaluate_courses",
    "fail_transitions",
    "forecast",
    "install_playbook",
    "let_in_surge",
    "lock_members",
    "look_for_transitions",
    "mark_processed",
    "playbook_file",
    "read_shipped",
    "remove_course",
    "remove_member",
    "save_edit",
    "save_new",
    "set_mode",
    "shipped_playbooks",
    "state_of",
    "state_of_differences",
    "thaw_segment",
]
