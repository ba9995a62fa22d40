#!/usr/bin/env bash
# statsmodels 0.15.0, test_proportions_2indep(compare="diff", method="score"): at a difference other
# than 0, as for a non-inferiority margin, the two rates are not those of greatest likelihood under
# the hypothesis. In the cubic equation of Miettinen and Nurminen (1985), the control's successes
# stand where its size belongs. Seen for 55/80 against 48/80 at +.3: z = -2.8646 instead of -2.9106,
# with rates of .7436 and .4436 instead of .7750 and .4750. At a difference of 0 it is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
from math import log, sqrt

from scipy.optimize import minimize_scalar
from statsmodels.stats.proportion import test_proportions_2indep


def loglik(p1, p0, x1, n1, x0, n0):
    return x1 * log(p1) + (n1 - x1) * log(1 - p1) + x0 * log(p0) + (n0 - x0) * log(1 - p0)


def restricted(x1, n1, x0, n0, margin):
    """Return z and the rates of greatest likelihood that differ by the margin, by search."""
    low, high = max(0, -margin) + 1e-9, min(1, 1 - margin) - 1e-9
    found = minimize_scalar(
        lambda p0: -loglik(p0 + margin, p0, x1, n1, x0, n0),
        bounds=(low, high), method="bounded", options={"xatol": 1e-12},
    )
    p0 = found.x
    p1 = p0 + margin
    n = n1 + n0
    variance = (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0) * n / (n - 1)
    return (x1 / n1 - x0 / n0 - margin) / sqrt(variance), p1, p0


for x1, n1, x0, n0, margin in ((55, 80, 48, 80, 0.3), (30, 60, 20, 60, -0.1), (12, 40, 4, 40, 0.05)):
    theirs = test_proportions_2indep(
        x1, n1, x0, n0, value=margin, compare="diff", method="score", return_results=True
    )
    z, p1, p0 = restricted(x1, n1, x0, n0, margin)
    table = (x1, n1, x0, n0)
    apart = loglik(p1, p0, *table) - loglik(theirs.prop1_null, theirs.prop2_null, *table)
    print(
        f"{x1}/{n1} against {x0}/{n0} at {margin:+}: statsmodels z = {theirs.statistic:.4f} with rates "
        f"{theirs.prop1_null:.4f} and {theirs.prop2_null:.4f}; greatest likelihood z = {z:.4f} with "
        f"{p1:.4f} and {p0:.4f}, whose log likelihood is higher by {apart:.3f}"
    )
    assert abs(theirs.prop1_null - theirs.prop2_null - margin) < 1e-9
    assert apart > 1e-4
    assert abs(theirs.statistic - z) > 1e-4
zero = test_proportions_2indep(30, 60, 20, 60, compare="diff", method="score").statistic
assert abs(zero - restricted(30, 60, 20, 60, 1e-12)[0]) < 1e-6
print(f"30/60 against 20/60 at 0: z = {zero:.4f} on both ways")
PY
