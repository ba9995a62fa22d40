#!/usr/bin/env bash
# statsmodels 0.15.0, confint_proportions_2indep(method="score"), compare="diff": the interval of its
# own score test raises ValueError for ordinary tables: 30/60 against 20/60, and 59 of the 81 tables
# with 8 in each arm. It searches the limits with a bracket whose ends may be on the same side of the
# root. Agresti-Caffo, in the same function, exceeds the range of a difference:
# 8/8 against 0/8 gives an upper limit of 1.063.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
from itertools import product

from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep


def raises(*table):
    try:
        confint_proportions_2indep(*table, method="score")
    except ValueError:
        return True
    return False


p = test_proportions_2indep(30, 60, 20, 60, method="score").pvalue
print(f"30/60 and 20/60: the score test gives p = {p:.4f}, its interval raises")
assert raises(30, 60, 20, 60)
count = sum(raises(x, 8, y, 8) for x, y in product(range(9), repeat=2))
print(f"with 8 an arm it raises for {count} of 81 tables")
assert count == 59
low, high = confint_proportions_2indep(8, 8, 0, 8, method="agresti-caffo")
print(f"Agresti-Caffo for 8/8 and 0/8: {low:.3f} to {high:.3f}")
assert high > 1
PY
