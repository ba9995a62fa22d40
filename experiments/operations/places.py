"""Take the next places of strata. The row of a stratum is its lock."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from experiments.models import Stratum
from experiments.randomize.blocks import Blocks, Place


@dataclass(frozen=True)
class Taken:
    """A place that was taken: the arm of one draw, with its stratum and position."""

    arm: str
    stratum_id: int
    position: int


def lock_strata(experiment_id: int, keys: Mapping[str, int]) -> dict[str, Stratum]:
    """Return the strata by key, locked until the end of the transaction. Missing ones are made."""
    rows = Stratum.objects.filter(experiment=experiment_id, key__in=keys)
    known = set(rows.values_list("key", flat=True))
    # Both in one order, so that two draws wait for each other and do not deadlock.
    new = [Stratum(experiment_id=experiment_id, key=key) for key in sorted(keys.keys() - known)]
    Stratum.objects.bulk_create(new, ignore_conflicts=True)
    locked = rows.order_by("key").select_for_update(no_key=True)
    return {stratum.key: stratum for stratum in locked}


def take_places(
    experiment_id: int, wanted: Mapping[str, int], blocks: Blocks
) -> dict[str, list[Taken]]:
    """Take as many places of each stratum as wanted, in the caller's transaction.

    A transaction that fails gives its places back, and others wait until then. So no position is
    left out, whoever draws at the same time.
    """
    strata = lock_strata(experiment_id, wanted)
    taken = {key: take(strata[key], number, blocks) for key, number in wanted.items()}
    Stratum.objects.bulk_update(strata.values(), ["drawn", "block", "offset"])
    return taken


def take(stratum: Stratum, number: int, blocks: Blocks) -> list[Taken]:
    """Return the next places of the locked stratum, and move the row on without saving it."""
    taken = []
    place = Place(stratum.block, stratum.offset)
    for arm, after in islice(blocks.arms_from(stratum.key, place), number):
        taken.append(Taken(arm, stratum.pk, stratum.drawn))
        stratum.drawn += 1
        stratum.block, stratum.offset = after.block, after.offset
    return taken
