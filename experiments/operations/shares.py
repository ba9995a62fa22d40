"""Take the next places of an adaptive draw, and change the shares of its arms when it is time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from experiments.design import Adapting
from experiments.metrics.definitions import HIGHER
from experiments.models import Experiment, SharePeriod
from experiments.operations.places import lock_strata
from experiments.protocol import ExperimentProtocol
from experiments.queries.share_periods import known_counts
from experiments.randomize.hash import bucket_of_many
from experiments.randomize.thompson import adapted_shares, arm_seed

# The one stratum of an adaptive draw. Its row is the lock, and counts the draws.
EVERYBODY = "everybody"


@dataclass(frozen=True)
class Place:
    """A place that was taken: the arm, the number of the draw, and the shares that drew it."""

    arm: str
    stratum_id: int
    position: int
    period_id: int


def take_adaptive_places(
    experiment: Experiment, protocol: ExperimentProtocol, keys: Sequence[str], *, now: datetime
) -> list[Place]:
    """Take a place for each unit key, in the caller's transaction, in their order.

    A row of shares is written before the first draw by it. Both are rolled back together. Within
    one call the shares change once at most: no more outcomes are known than at its start.
    """
    adapting = protocol.design.adapting
    if adapting is None:
        raise ValueError("The design does not adapt its shares.")
    stratum = lock_strata(experiment.pk, {EVERYBODY: len(keys)})[EVERYBODY]
    # Read after the lock, so that the row of a draw that has just ended is seen.
    period = _last_period(experiment) or _first_period(experiment, protocol, now)
    arms = protocol.arms_by(period.shares)
    was_asked, taken = False, []
    for bucket in bucket_of_many(keys, seed=arm_seed(protocol.seed)).tolist():
        if not was_asked and adapting.may_change(stratum.drawn):
            was_asked = True
            period = _next_period(experiment, protocol, adapting, stratum.drawn, now) or period
            arms = protocol.arms_by(period.shares)
        arm = arms.arm_at(bucket)
        if arm is None:
            raise ValueError(f"No arm has the bucket {bucket}.")
        taken.append(Place(arm, stratum.pk, stratum.drawn, period.pk))
        stratum.drawn += 1
    stratum.save(update_fields=["drawn"])
    return taken


def _last_period(experiment: Experiment) -> SharePeriod | None:
    return SharePeriod.objects.filter(experiment=experiment).order_by("-position").first()


def _first_period(
    experiment: Experiment, protocol: ExperimentProtocol, now: datetime
) -> SharePeriod:
    shares = {arm.key: arm.weight for arm in protocol.arms if arm.weight > 0}
    return SharePeriod.objects.create(
        experiment=experiment, position=0, at=now, shares=shares, counts={}
    )


def _next_period(
    experiment: Experiment,
    protocol: ExperimentProtocol,
    adapting: Adapting,
    position: int,
    now: datetime,
) -> SharePeriod | None:
    """Write the shares that follow from the outcomes known now; None while too few are known."""
    primary = protocol.chosen_metrics()[0]
    counts = known_counts(experiment.pk, protocol, as_of=now)
    if sum(n for _, n in counts.values()) < adapting.burn_in:
        return None
    shares = adapted_shares(counts, floor=adapting.floor, higher_is_better=primary.better == HIGHER)
    return SharePeriod.objects.create(
        experiment=experiment, position=position, at=now, shares=shares, counts=counts
    )
