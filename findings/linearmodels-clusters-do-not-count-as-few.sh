#!/usr/bin/env bash
# linearmodels 7.1 (IV2SLS, cov_type="clustered"): with 6 courses of 20 learners as clusters, p comes
# from the normal distribution. debiased=True does not change that to t with 5 degrees of freedom
# (courses less one), but to t with 118 (learners less coefficients), so the
# number of clusters never reaches the p-value.
# Result: p of the normal and of t(118) to the last digits; t(5) of the same statistic is much larger.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  linearmodels==7.1 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 statsmodels==0.15.0
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from linearmodels.iv import IV2SLS
from scipy import stats

rng = np.random.default_rng(1)
course = np.repeat(np.arange(6), 20)
invited = rng.integers(0, 2, 120).astype(float)
took = 0.6 * invited + rng.normal(size=120)
grade = 0.3 * took + rng.normal(size=6)[course] + rng.normal(size=120)
for debiased in (False, True):
    fit = IV2SLS(grade, np.ones((120, 1)), took[:, None], invited[:, None]).fit(
        cov_type="clustered", clusters=course, debiased=debiased
    )
    t, p = abs(fit.tstats.iloc[1]), fit.pvalues.iloc[1]
    normal, learners, courses = (
        2 * law.sf(t) for law in (stats.norm, stats.t(118), stats.t(5))
    )
    print(f"debiased={debiased}: p {p:.4f}; normal {normal:.4f}, t(118) {learners:.4f}, t(5) {courses:.4f}")
    assert np.isclose(p, learners if debiased else normal, rtol=1e-9)
    assert courses > 1.2 * p
PY
