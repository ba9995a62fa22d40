"""What the arms of an experiment receive: sentences for its check page, digests for its ledger."""

from hashlib import sha256

from activity.access import Viewer, for_user
from common.json_text import canonical_json
from experiments.ledger.states import Received
from experiments.models import Experiment
from interventions.models import Cadence, CadenceStatus, Step
from interventions.policy.durations import delay_in_words
from interventions.queries.limits import caps_of_arms

_STATES = {
    CadenceStatus.DRAFT: " It is a draft, so it sends nothing yet.",
    CadenceStatus.ACTIVE: "",
    CadenceStatus.ARCHIVED: " It is archived, so it sends nothing.",
}


def messages_of_arms(experiment: Experiment, *, viewer: Viewer) -> dict[str, list[str]]:
    """Return the cadences and caps of each arm by its key.

    Archived cadences are left out. Four queries.
    """
    cadences = for_user(Cadence.objects.exclude(status=CadenceStatus.ARCHIVED), viewer)
    of_arms = cadences.filter(arm__experiment=experiment).select_related("arm", "ghost_for")
    found: dict[str, list[str]] = {}
    for cadence in of_arms.prefetch_related("steps__template").order_by("priority", "key"):
        arm, ghost = cadence.arm, cadence.ghost_for
        if arm is not None:
            found.setdefault(arm.key, []).append(_sentence(cadence))
        if ghost is not None:
            found.setdefault(ghost.key, []).append(
                f"“{cadence.name}” as ghosts: planned and counted by the caps, but never sent."
            )
    for cap in caps_of_arms(experiment):
        if cap.arm is not None:
            found.setdefault(cap.arm.key, []).append(f"{cap.sentence}.")
    return found


def received_by_arms(experiment: Experiment) -> Received:
    """Return what the arms get now, with a digest of all that decides it. Three queries.

    A cadence that is not active sends nothing new, so it is left out.
    """
    active = Cadence.objects.filter(arm__experiment=experiment, status=CadenceStatus.ACTIVE)
    found: dict[str, dict[str, str]] = {}
    for cadence in active.select_related("arm").prefetch_related("steps__template"):
        if cadence.arm is not None:
            found.setdefault(cadence.arm.key, {})[cadence.name] = _digest(cadence)
    return Received(found, [cap.sentence for cap in caps_of_arms(experiment)])


def _digest(cadence: Cadence) -> str:
    steps = sorted(cadence.steps.all(), key=lambda step: step.position)
    parts = [_values(cadence), *([_values(each), each.template.version] for each in steps)]
    return sha256(canonical_json(parts).encode()).hexdigest()[:16]


def _values(row: Cadence | Step) -> dict[str, str]:
    names = [field.attname for field in row._meta.concrete_fields]
    return {name: str(getattr(row, name)) for name in names if name not in ("id", "cadence_id")}


def _sentence(cadence: Cadence) -> str:
    steps = sorted(cadence.steps.all(), key=lambda step: step.position)
    if not steps:
        return f"“{cadence.name}” has no message yet."
    listed = "; ".join(map(_step, steps))
    paused = " It is paused." if cadence.paused else ""
    return f"“{cadence.name}”: {listed}.{_STATES[CadenceStatus(cadence.status)]}{paused}"


def _step(step: Step) -> str:
    condition = ", if its condition is true" if step.condition else ""
    message = f"{step.template.name} by {step.get_channel_display()}"
    return f"{message}, {delay_in_words(step.delay)}{condition}"
