"""All operations that write the tables of interventions."""

from interventions.operations.actions import shipped_actions, shipped_texts
from interventions.operations.archive import archive_old, preview_archive
from interventions.operations.cadence_checks import (
    StepFields,
    check_cadence,
    check_channel,
    check_steps,
)
from interventions.operations.cadences import (
    CadenceFields,
    free_cadence_key,
    save_cadence,
    set_cadence_status,
)
from interventions.operations.consent import save_preferences, unsubscribe
from interventions.operations.errors import InterventionError
from interventions.operations.experiments import (
    caps_without_effect,
    start_experiment,
    start_problems,
)
from interventions.operations.in_app import (
    checked_origins,
    dismiss_in_app,
    save_course_site,
    see_in_app,
)
from interventions.operations.installation import Installed, install_guarded
from interventions.operations.kept_noes import NotKeptError, keep_no
from interventions.operations.limits import (
    make_missing_guards,
    save_cap,
    save_quiet_hours,
    suppress,
)
from interventions.operations.nudges import (
    MOST_PRESENT,
    NudgeFields,
    NudgeMessage,
    NudgeSave,
    beside_an_experiment,
    create_nudge,
    delete_nudge,
    note_test,
    save_nudge,
)
from interventions.operations.pauses import PauseNote, pause_cadence, pause_learner, pause_site
from interventions.operations.resolution import resolve_in_doubt, retry_failed
from interventions.operations.runs import CLOCK_STOPPED, manual_runs, start_manually, stop_run
from interventions.operations.secrets import renew_secret
from interventions.operations.tasks import finish_task, take_task, talk_about
from interventions.operations.templates import (
    check_category,
    check_opt_in,
    check_texts,
    restore_version,
    save_category,
    save_template,
    text_problems,
)
from interventions.operations.tracking import record_click, record_reports
from interventions.operations.webhooks import (
    check_webhook_url,
    save_endpoint,
)

__all__ = [
    "CLOCK_STOPPED",
    "MOST_PRESENT",
    "CadenceFields",
    "Installed",
    "InterventionError",
    "NotKeptError",
    "NudgeFields",
    "NudgeMessage",
    "NudgeSave",
    "PauseNote",
    "StepFields",
    "archive_old",
    "beside_an_experiment",
    "caps_without_effect",
    "check_cadence",
    "check_category",
    "check_channel",
    "check_opt_in",
    "check_steps",
    "check_texts",
    "check_webhook_url",
    "checked_origins",
    "create_nudge",
    "delete_nudge",
    "dismiss_in_app",
    "finish_task",
    "free_cadence_key",
    "install_guarded",
    "keep_no",
    "make_missing_guards",
    "manual_runs",
    "note_test",
    "pause_cadence",
    "pause_learner",
    "pause_site",
    "preview_archive",
    "record_click",
    "record_reports",
    "renew_secret",
    "resolve_in_doubt",
    "restore_version",
    "retry_failed",
    "save_cadence",
    "save_cap",
    "save_category",
    "save_course_site",
    "save_endpoint",
    "save_nudge",
    "save_preferences",
    "save_quiet_hours",
    "save_template",
    "see_in_app",
    "set_cadence_status",
    "shipped_actions",
    "shipped_texts",
    "start_experiment",
    "start_manually",
    "start_problems",
    "stop_run",
    "suppress",
    "take_task",
    "talk_about",
    "text_problems",
    "unsubscribe",
]
