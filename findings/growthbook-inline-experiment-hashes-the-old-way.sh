#!/usr/bin/env bash
# growthbook 4.0.0 (Python): an experiment written in the code uses hash version 1 unless it says
# otherwise. The same key, learner and weights put about half of the learners into the other of two
# arms with version 2: a change of version is a new draw. So an inline test
# and one that another SDK runs with version 2 must name it, or a learner meets both arms.
# Result: of 1,000 learners 535 change the arm; the default agrees with version 1 for all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check growthbook==4.0.0
"$folder/venv/bin/python" - <<'PY'
from growthbook import Experiment, GrowthBook


def arms(**options):
    """Return the arm of each of 1,000 learners."""
    experiment = Experiment(key="reminder", variations=["plain", "early"], **options)
    learners = (GrowthBook(attributes={"id": f"learner-{number}"}) for number in range(1000))
    return [learner.run(experiment).variationId for learner in learners]


default, first, second = arms(), arms(hashVersion=1), arms(hashVersion=2)
moved = sum(one != other for one, other in zip(default, second, strict=True))
print(f"as version 1: {default == first}; another arm by version 2: {moved} of 1000")
assert default == first
assert moved == 535, moved
PY
