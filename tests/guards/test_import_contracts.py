"""Each import contract fails on a planted violation in a copy of the project."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.guards.code import PACKAGES, ROOT, contracts

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
RUN = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


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


def lint(folder: Path, contract: str | None = None) -> tuple[int, str]:
    chosen = ["--contract", contract] if contract else []
    result = subprocess.run(
        [sys.executable, "-c", RUN, "--no-cache", *chosen],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def test_project_keeps_every_contract(copy: Path) -> None:
    status, said = lint(copy)

    assert status == 0, said


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_planted_violation_breaks_the_contract(
    copy: Path, contract: str, file: str, line: str
) -> None:
    with planted(copy / file, line):
        status, said = lint(copy, contract)

    assert status == 1
    assert f"{contracts()[contract]['name']} BROKEN" in said


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, _, _ in PLANTED} == set(contracts())
