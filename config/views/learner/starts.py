"""Say why no message has started from an entry into a segment."""

from common.dates import instant_text
from interventions.models import Reentry
from interventions.policy.words import words_of
from interventions.queries.starts import Startable, startable_cadences
from segmentation.models import Transition, TransitionCause

_STARTS_NOTHING = {
    TransitionCause.BASELINE: "it was the first evaluation after the import or the activation",
    TransitionCause.EDIT: "it came from a change of the course, its items or a rule",
    TransitionCause.LATE: "we heard too late of what the learner did",
    TransitionCause.COURSE_OVER: "the course is over for the learner",
}


def entry_sentences(entry: Transition, *, name: str, zone: str) -> list[str]:
    """Return what the learner entered, and why no message has started from it. Four queries."""
    at = instant_text(entry.occurred_at, zone=zone)
    return [f"{name} entered {entry.segment.name} on {at}.", _effect(entry, name, zone)]


def _effect(entry: Transition, name: str, zone: str) -> str:
    if entry.starts and entry.processed_at is None:
        return "What starts from it is decided within seconds."
    found = startable_cadences(entry)
    if not found:
        return f"No nudge or other cadence is active for {entry.segment.name}."
    if not entry.starts:
        why = _STARTS_NOTHING.get(TransitionCause(entry.cause))
        if why is not None:
            return f"No message starts from that, because {why}."
        return "Nothing starts before the other entries of that day are counted."
    live_since = entry.enrollment.course.live_since
    if live_since is None or live_since > entry.occurred_at:
        return "The course was not live then, so no message started."
    return " ".join(_refusal(each, entry, name, zone) for each in found)


def _refusal(one: Startable, entry: Transition, name: str, zone: str) -> str:
    """Return why the cadence did not start, or how it ended."""
    cadence = one.cadence
    if cadence.arm is not None and (one.arm is None or one.arm.pk != cadence.arm_id):
        where = f"is in the arm “{one.arm.own_name}”" if one.arm else "has no arm in it"
        of = f"the arm “{cadence.arm.own_name}” of “{cadence.arm.experiment.name}”"
        return f"“{cadence.name}” goes only to {of}, and {name} {where}."
    last = one.last
    if last is None:
        return f"“{cadence.name}” was not active then."
    ended = instant_text(last.ended_at, zone=zone) if last.ended_at else ""
    if last.transition_id == entry.pk:
        why = f", because {words_of(last.exit_reason).because}" if last.exit_reason else ""
        return f"“{cadence.name}” began then{f' and ended on {ended}' if ended else ''}{why}."
    if cadence.reentry == Reentry.NEVER or not ended:
        began = instant_text(last.started_at, zone=zone)
        return f"“{cadence.name}” goes to each learner once. For {name} it began on {began}."
    return f"“{cadence.name}” waits after each run. For {name} the last one ended on {ended}."
