"""The tables of the page are taken as computed only if nothing that they follow from changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.terminal.certification import BEGIN, END
from experiments.terminal.certified import digest_of_inputs, inputs, is_sealed, with_seal
from tests.guards.code import ROOT

LOAD = """
import sys
from pathlib import Path
import experiments.management.commands.certify_statistics
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None) or "")
"""
PAGE = f"before\n{BEGIN}\n| one | 0.05 | met |\n{END}\nafter\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with the inputs, and a file beside them."""
    for path in [*inputs(ROOT), ROOT / "experiments/models/__init__.py"]:
        to = tmp_path / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "experiments/__init__.py",
        "experiments/stats/rates.py",
        "experiments/stats/certificates/promises.py",
        "experiments/terminal/certification.py",
        "experiments/management/commands/certify_statistics.py",
    ],
)
@pytest.mark.sampled(3)
def test_changed_byte_of_an_input_breaks_the_seal(copy: Path, name: str) -> None:
    before = digest_of_inputs(copy)
    page = with_seal(PAGE, inputs=before)
    assert is_sealed(page, inputs=digest_of_inputs(copy))

    with (copy / name).open("ab") as file:
        file.write(b"#")

    assert digest_of_inputs(copy) != before
    assert not is_sealed(page, inputs=digest_of_inputs(copy))


def test_new_module_breaks_the_seal_and_a_file_that_is_no_input_does_not(copy: Path) -> None:
    before = digest_of_inputs(copy)

    (copy / "experiments/models/__init__.py").write_text("# changed")
    assert digest_of_inputs(copy) == before
    (copy / "experiments/stats/new.py").touch()
    assert digest_of_inputs(copy) != before


@pytest.mark.slow
def test_every_module_of_ours_that_the_command_loads_is_an_input() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    loaded = {Path(line) for line in said.splitlines() if line.startswith(f"{ROOT}/")}
    ours = {path for path in loaded if ".venv" not in path.parts}

    assert len(ours) > 30
    assert ours <= set(inputs(ROOT))


def test_number_changed_by_hand_breaks_the_seal() -> None:
    page = with_seal(PAGE, inputs="x")

    assert is_sealed(page, inputs="x")
    assert not is_sealed(page.replace("0.05", "0.04"), inputs="x")
    assert not is_sealed(page, inputs="y")
    assert not is_sealed(PAGE, inputs="x")
    assert with_seal(page, inputs="x") == page
    assert with_seal(page, inputs="y").count("computed from") == 1
