"""The units of a table: its rows, or the rows that share an id in a column of units. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.terminal.labels import Labels

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Grouping:
    """The rows that count, and the unit of each of them; without `units` each row is a unit.

    Its methods take one number per row of the table and return one per unit: nan for a unit without
    a known number.
    """

    rows: Mask
    units: Codes | None = None

    @property
    def size(self) -> int:
        """Return the number of units."""
        if self.units is None:
            return int(self.rows.sum())
        return int(self.units.max()) + 1 if self.units.size else 0

    def kept(self, values: Floats) -> Floats:
        """Return the numbers of the rows that count."""
        return values if self.rows.all() else values[self.rows]

    def sum(self, values: Floats) -> Floats:
        """Return the sum of each unit's known numbers."""
        values = self.kept(values)
        if self.units is None:
            return values
        known = ~np.isnan(values)
        times = np.bincount(self.units[known], minlength=self.size)
        totals = np.bincount(self.units[known], weights=values[known], minlength=self.size)
        return np.where(times > 0, totals, np.nan)

    def mean(self, values: Floats) -> Floats:
        """Return the mean of each unit's known numbers."""
        known = np.where(np.isnan(values), np.nan, 1.0)
        return self.sum(values) / self.sum(known)

    def most(self, values: Floats) -> Floats:
        """Return the largest of each unit's known numbers."""
        values = self.kept(values)
        if self.units is None:
            return values
        found = np.full(self.size, np.nan)
        np.fmax.at(found, self.units, values)
        return found

    def least(self, values: Floats) -> Floats:
        """Return the smallest of each unit's known numbers."""
        return -self.most(-values)

    def shared(self, labels: Labels) -> Labels:
        """Return the label of each unit. All rows of a unit must have the same."""
        codes = labels.codes[self.rows]
        if self.units is None:
            return Labels(labels.names, codes)
        found = np.empty(self.size, dtype=np.int32)
        found[self.units] = codes
        return Labels(labels.names, found)


@dataclass(frozen=True)
class Units:
    """The units that count, each with its arm, and with its section if there are sections.

    `left_out` has the number of the rows and units that do not count, by the reason. `has_ids`: a
    column names the units, so that a unit can have several rows.
    """

    arms: Labels
    sections: Labels | None
    grouping: Grouping
    left_out: Mapping[str, int]
    has_ids: bool

    @property
    def rows(self) -> int:
        """Return the number of rows that count."""
        return int(self.grouping.rows.sum())

    @property
    def sizes(self) -> dict[str, int]:
        """Return the number of units per arm."""
        found = np.bincount(self.arms.codes, minlength=len(self.arms.names))
        return dict(zip(self.arms.names, found.tolist(), strict=True))

    def of(self, arm: str) -> Mask:
        """Return which units are in the arm."""
        mask: Mask = self.arms.codes == self.arms.names.index(arm)
        return mask


def count_units(
    arms: Labels, *, ids: Labels | None = None, sections: Labels | None = None
) -> Units:
    """Return the units of rows with these labels, -1 for a missing one.

    A row without its arm, unit or section is left out. A unit with rows in several arms is left out
    because nobody knows which treatment it got, and so is a unit with rows in several sections.
    """
    left_out: dict[str, int] = {}
    rows = np.ones(arms.codes.size, dtype=bool)
    for name, labels in {"arm": arms, "unit": ids, "section": sections}.items():
        if labels is not None:
            is_missing = rows & (labels.codes < 0)
            left_out[f"rows_without_{name}"] = int(is_missing.sum())
            rows &= ~is_missing
    if ids is None:
        grouping = Grouping(rows)
    else:
        for name, labels in {"arms": arms, "sections": sections}.items():
            if labels is not None:
                torn = torn_labels(ids, labels, rows)
                left_out[f"units_in_several_{name}"] = int(torn.sum())
                rows &= ~torn[ids.codes]
        grouping = Grouping(rows, _numbered(ids.codes[rows], len(ids.names)))
    return Units(
        grouping.shared(arms), sections and grouping.shared(sections), grouping, left_out,
        has_ids=ids is not None,
    )  # fmt: skip


def torn_labels(labels: Labels, by: Labels, rows: Mask) -> Mask:
    """Return for each name of `labels` whether its rows have several names of `by`.

    One more place at the end, always false, is for the code -1.
    """
    codes, others = labels.codes[rows], by.codes[rows]
    last = np.empty(len(labels.names), dtype=np.int32)
    last[codes] = others
    torn = np.zeros(len(labels.names) + 1, dtype=bool)
    torn[codes[last[codes] != others]] = True
    return torn


def _numbered(codes: Codes, most: int) -> Codes:
    """Return the codes counted from 0 without gaps. All are below `most`."""
    occurs = np.bincount(codes, minlength=most) > 0
    places = (np.cumsum(occurs) - 1).astype(np.int32)
    numbered: Codes = places[codes]
    return numbered
