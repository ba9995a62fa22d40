"""Each import contract fails on a planted violation in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.guards.code import PACKAGES, ROOT, contracts
from tests.long import longer

# The text appended to a file, and the contract that must fail. A file that does not exist is
# a new file without a layer.
PLANTED = [
    ("apps", "activity/queries/queue.py", "import segmentation.models"),
    ("apps", "common/clock.py", "import activity.models"),
    ("apps", "experiments/queries/reports.py", "import interventions.models"),
    ("apps", "interventions/policy/decision.py", "import config.env"),
    ("config", "config/running/stages.py", "import config.health"),
    ("config", "config/demo/run.py", "import config.staff.groups"),
    ("config", "config/pages/context.py", "import config.staff.rights"),
    ("config", "config/services.py", ""),
    ("activity", "activity/models/__init__.py", "import activity.queries"),
    ("activity", "activity/services.py", ""),
    ("segmentation", "segmentation/queries/norms.py", "import segmentation.operations"),
    ("segmentation", "segmentation/services.py", ""),
    ("experiments", "experiments/stats/__init__.py", "import experiments.models"),
    ("experiments", "experiments/services.py", ""),
    ("interventions", "interventions/operations/__init__.py", "import interventions.stages.plan"),
    ("interventions", "interventions/services.py", ""),
    ("interventions", "interventions/policy/caps.py", "import interventions.models"),
    ("policy", "interventions/policy/caps.py", "import interventions.policy.decision"),
    ("policy", "interventions/policy/services.py", ""),
    ("pure", "interventions/policy/decision.py", "import django.utils.timezone"),
    ("pure", "experiments/randomize/__init__.py", "import redis"),
    ("compiler", "interventions/queries/__init__.py", "import segmentation.compiler"),
    ("channels", "interventions/operations/__init__.py", "import interventions.channels.email"),
    ("starting", "interventions/stages/react.py", "import experiments.starting"),
    ("rings", "config/running/probes.py", "import config.running.watchdog"),
    ("rings", "interventions/render/names.py", "import interventions.render.mail"),
    ("stages", "interventions/stages/react.py", "import interventions.stages.plan"),
    ("stages", "interventions/stages/plan.py", "import segmentation.stages.evaluate"),
    ("runs", "interventions/views/__init__.py", "import interventions.stages.plan"),
    ("runs", "config/health/check.py", "import segmentation.stages.evaluate"),
    ("edges", "interventions/queries/__init__.py", "import experiments.views"),
]
# Answers for all: to start a process takes longer than to check a contract.
RUN = """
import contextlib, io, json, sys
from importlinter.cli import lint_imports
for line in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = lint_imports(limit_to_contracts=tuple(json.loads(line)), no_cache=True)
    print(json.dumps([status, said.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            folder / package,
            ignore=lambda _, names: [n for n in names if n in {"__pycache__", "static"}],
        )
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


@contextmanager
def planted(path: Path, line: str) -> Iterator[None]:
    before = path.read_text() if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n")
    try:
        yield
    finally:
        path.unlink()
        if before is not None:
            path.write_text(before)


class Linter:
    """Checks contracts in the copy, each time by what is then in its files."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *contracts: str) -> tuple[int, str]:
        """Return the exit status and the words for these contracts; none given: for all."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(contracts)}\n")
        self._process.stdin.flush()
        status, said = json.loads(self._process.stdout.readline())
        return status, said


@pytest.fixture(scope="module")
def lint(copy: Path) -> Iterator[Linter]:
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Linter(process)
        # It ends with its input.


def test_project_keeps_every_contract(lint: Linter) -> None:
    status, said = lint()

    assert status == 0, said


# Those that `make test` plants: one for each contract.
FIRST = {contract: (contract, file, line) for contract, file, line in reversed(PLANTED)}.values()


@pytest.mark.parametrize(
    ("contract", "file", "line"),
    [
        *FIRST,
        *longer(
            "test_planted_violation_breaks_the_contract",
            *(each for each in PLANTED if each not in FIRST),
        ),
    ],
)
@pytest.mark.sampled(2)
def test_planted_violation_breaks_the_contract(
    copy: Path, lint: Linter, contract: str, file: str, line: str
) -> None:
    with planted(copy / file, line):
        status, said = lint(contract)

    assert status == 1
    assert f"{contracts()[contract]['name']} BROKEN" in said


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, _, _ in PLANTED} == set(contracts())
