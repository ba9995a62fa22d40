"""Draw again what was drawn, from the protocol and what an entry says about each draw. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from experiments.design import BLOCKS, HASH, SECTION
from experiments.ledger.records import DrawRecord, SectionRecord
from experiments.protocol import ExperimentProtocol
from experiments.randomize.blocks import PRESENT, Blocks, Place
from experiments.randomize.hash import bucket_of, bucket_of_many


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

    def sections(self, records: Sequence[SectionRecord]) -> str:
        """Draw the sections again."""
        return next(filter(None, map(self._section, records)), "")

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
        section = self._sections.get(record.section or "")
        return None if section is None else section.arm

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
            self._strata[stratum] = _Stratum(self._blocks(stratum), stratum)
        return self._strata[stratum].arm_at(position)

    def _blocks(self, stratum: str) -> Blocks:
        weights = {arm.key: arm.weight for arm in self._protocol.arms}
        multiples = self._design.block_multiples
        blocks = Blocks.of(weights, seed=self._protocol.seed, multiples=multiples)
        return replace(blocks, multiples=(1,)) if stratum == PRESENT else blocks


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
