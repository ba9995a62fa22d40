"""Draw again what was drawn, from the protocol and what an entry says about each draw. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from experiments.design import ADAPTIVE, BLOCKS, HASH, SECTION, Adapting
from experiments.ledger.records import DrawRecord, SectionRecord, ShareRecord
from experiments.metrics.definitions import HIGHER
from experiments.protocol import ExperimentProtocol
from experiments.randomize.arms import Arms
from experiments.randomize.blocks import PRESENT, Blocks, Place
from experiments.randomize.hash import bucket_of, bucket_of_many
from experiments.randomize.thompson import adapted_shares, arm_seed

# Shares are whole steps of 0.0001.
_ROUNDED = 1.5e-4


class Replay:
    """Draws again what it is told, in any portions, and remembers the places that were taken.

    Each method returns the first difference as a sentence, or nothing.
    """

    def __init__(self, protocol: ExperimentProtocol) -> None:
        self._protocol, self._design = protocol, protocol.design
        # An arm's range starts where it starts with full coverage, so the arm is the same.
        self._arms = protocol.draw(coverage=1.0)
        self._strata: dict[str, _Stratum] = {}
        self._sections: dict[str, SectionRecord] = {}
        self._positions: dict[str, set[int]] = defaultdict(set)
        # The arms by the position of the first draw with these shares.
        self._shares: dict[int, Arms] = {}

    def sections(self, records: Sequence[SectionRecord]) -> str:
        """Draw the sections again."""
        return next(filter(None, map(self._section, records)), "")

    def shares(self, records: Sequence[ShareRecord]) -> str:
        """Compute the shares again from the counts that they follow from."""
        return next(filter(None, map(self._share, records)), "")

    def units(self, records: Sequence[DrawRecord]) -> str:
        """Draw the units again."""
        return self._buckets(records) or next(filter(None, map(self._unit, records)), "")

    def remaining(self) -> str:
        """Look at what only the whole shows: positions without a draw, and sections by size."""
        for stratum, positions in sorted(self._positions.items()):
            missing = set(range(max(positions) + 1)) - positions
            if missing:
                return f"The stratum {stratum} has no draw at position {min(missing)}."
        present = [each for each in self._sections.values() if each.stratum == PRESENT]
        present.sort(key=lambda each: each.position)
        for larger, smaller in pairwise(present):
            if (-larger.size, larger.section) > (-smaller.size, smaller.section):
                return (
                    f"{_section_name(smaller)} was drawn after {_section_name(larger)}, though "
                    "sections are drawn by size."
                )
        return ""

    def _buckets(self, records: Sequence[DrawRecord]) -> str:
        if self._design.unit == SECTION:
            # Those of their sections.
            return ""
        buckets = bucket_of_many([each.unit for each in records], seed=self._protocol.seed)
        for record, bucket in zip(records, buckets.tolist(), strict=True):
            if record.bucket != bucket:
                return f"The unit {record.unit} has the bucket {record.bucket}, not {bucket}."
        return ""

    def _unit(self, record: DrawRecord) -> str:
        layer = self._design.layer
        if layer is not None and not (
            record.layer_unit is not None
            and bucket_of(str(record.layer_unit), seed=layer.seed) in layer
        ):
            return f"The unit {record.unit} is outside the experiment's part of its layer."
        arm = self._arm(record)
        if arm == record.arm:
            return ""
        return f"The unit {record.unit} was drawn into {record.arm}, but its draw gives {arm}."

    def _arm(self, record: DrawRecord) -> str | None:
        if self._design.method == HASH:
            return self._arms.arm_at(record.bucket)
        if self._design.method == BLOCKS:
            return self._at(record.stratum or "", record.position)
        if self._design.method == ADAPTIVE:
            return self._adapted(record)
        section = self._sections.get(record.section or "")
        return None if section is None else section.arm

    def _share(self, record: ShareRecord) -> str:
        adapting, name = self._design.adapting, f"The shares from draw {record.position} on"
        if adapting is None:
            return f"{name} belong to no adaptive draw."
        if self._shares and record.position <= max(self._shares):
            return f"{name} do not follow the shares before them."
        if not record.position:
            expected = {arm.key: arm.weight for arm in self._protocol.arms if arm.weight > 0}
        elif not adapting.may_change(record.position):
            return f"{name} came at another time than the protocol says."
        elif sum(n for _, n in record.counts.values()) < adapting.burn_in:
            return f"{name} came before the outcomes of {adapting.burn_in} learners were known."
        else:
            expected = self._shares_of(record, adapting)
        # Another release of the libraries may round the last digit otherwise.
        if expected.keys() != record.shares.keys() or any(
            abs(share - record.shares[arm]) > _ROUNDED for arm, share in expected.items()
        ):
            return f"{name} are {dict(record.shares)}, but {expected} follow from the outcomes."
        self._shares[record.position] = self._protocol.arms_by(record.shares)
        return ""

    def _shares_of(self, record: ShareRecord, adapting: Adapting) -> dict[str, float]:
        # In the order of the arms, which decides between equal remainders when shares are rounded.
        found = record.counts
        counts = {
            arm.key: (found[arm.key][0], found[arm.key][1])
            for arm in self._protocol.arms
            if arm.key in found
        }
        is_higher = self._protocol.chosen_metrics()[0].better == HIGHER
        return adapted_shares(counts, floor=adapting.floor, higher_is_better=is_higher)

    def _adapted(self, record: DrawRecord) -> str | None:
        """Return the arm of an adaptive draw, by the last shares before its position."""
        position, positions = record.position, self._positions[record.stratum or ""]
        if position is None or position in positions:
            return None
        positions.add(position)
        last = max((each for each in self._shares if each <= position), default=None)
        if last is None or last != record.period:
            return None
        return self._shares[last].arm_at(bucket_of(record.unit, seed=arm_seed(self._protocol.seed)))

    def _section(self, record: SectionRecord) -> str:
        name = _section_name(record)
        self._sections[record.section] = record
        bucket = bucket_of(record.section, seed=self._protocol.seed)
        if bucket != record.bucket:
            return f"{name} has the bucket {record.bucket}, not {bucket}."
        arm = self._at(record.stratum, record.position)
        if arm != record.arm:
            return f"{name} was drawn into {record.arm}, but its draw gives {arm}."
        return ""

    def _at(self, stratum: str, position: int | None) -> str | None:
        """Return the arm at the position, and note that it is taken."""
        if position is None or position < 0 or position in self._positions[stratum]:
            return None
        self._positions[stratum].add(position)
        if stratum not in self._strata:
            blocks = self._protocol.blocks().of_sections(stratum)
            self._strata[stratum] = _Stratum(blocks, stratum)
        return self._strata[stratum].arm_at(position)


class _Stratum:
    """The arms of a stratum by position, drawn as far as they are asked for."""

    def __init__(self, blocks: Blocks, stratum: str) -> None:
        self._following: Iterator[tuple[str, Place]] = blocks.arms_from(stratum, Place())
        self._arms: list[str] = []

    def arm_at(self, position: int) -> str:
        """Return the arm at the position."""
        while len(self._arms) <= position:
            self._arms.append(next(self._following)[0])
        return self._arms[position]


def _section_name(record: SectionRecord) -> str:
    course, _, section = record.section.partition("\n")
    return f"The section {section} of {course}"
