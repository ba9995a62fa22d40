"""The stratum of a unit, from the values of its covariates. Pure."""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from math import ceil, isnan

from common.json_text import canonical_json
from experiments.design import Covariate

# An index entry of the database has at most about 2,700 bytes.
_LONGEST_KEY = 500


def quantile_cuts(values: Sequence[float], *, parts: int) -> tuple[float, ...]:
    """Return the values that cut these into about equal parts; fewer where many are equal.

    A cut is itself a value, the k/parts quantile by inversion of the empirical distribution
    (Hyndman and Fan 1996, definition 1), so no rounding can move it. It belongs to the lower part.
    """
    ordered = sorted(value for value in values if not isnan(value))
    if not ordered:
        return ()
    ranks = [ceil(part * len(ordered) / parts) for part in range(1, parts)]
    found = {ordered[max(rank, 1) - 1] for rank in ranks}
    # Nothing lies above the largest value.
    return tuple(sorted(found - {ordered[-1]}))


def stratum_key(covariates: Sequence[Covariate], values: Mapping[str, object]) -> str:
    """Return the stratum of a unit with these values by covariate: a list as canonical JSON.

    A category is itself, a number is its part from 1, and a missing value is null: a stratum of its
    own. Without covariates all units are in one stratum.
    """
    key = canonical_json([_label(each, values.get(each.name)) for each in covariates])
    # A very long text, such as a trait with a list of many values, is named by its digest.
    return key if len(key) <= _LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


def _label(covariate: Covariate, value: object) -> object:
    number = as_number(value)
    if covariate.parts:
        return None if number is None else bisect_left(covariate.cuts, number) + 1
    # 3 and 3.0 are one category.
    return int(number) if number is not None and number.is_integer() else value


def as_number(value: object) -> float | None:
    """Return the value as a number, or None for anything else, such as a text or true."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = float(value)
    return None if isnan(number) else number
