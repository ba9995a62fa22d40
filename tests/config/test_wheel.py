"""A wheel of the project carries all that its pages need, and works outside a checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import ROOT

# Prints where the code lies, the script of the rule builder, a page's template and a translation.
LOOK = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.offline"
import django
django.setup()
from django.conf import settings
from django.template.loader import get_template
from django.utils import translation
from segmentation.views.bundle import bundle_address
print(settings.VAR_DIR)
print(bundle_address())
print(get_template("base.html").origin.name)
with translation.override("de"):
    print(translation.gettext("Unsubscribe"))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Return a wheel made as `make wheel` makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (made,) = folder.glob("*.whl")
    return made


def test_wheel_carries_code_and_built_files_and_nothing_of_the_tests(wheel) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        text = archive.read("config/carried/static/built/rule_builder.js")

    assert text == (ROOT / "static/built/rule_builder.js").read_bytes()
    assert {
        "manage.py",
        "config/carried/static/built/LICENCES.txt",
        "config/carried/templates/base.html",
        "config/carried/locale/de/LC_MESSAGES/django.mo",
        "experiments/static/experiments/report.css",
        "segmentation/playbooks/five-segments.json",
        "segmentation/migrations/0001_initial.py",
    } <= names
    assert not {
        name for name in names if name.startswith(("tests/", "bench/", "frontend/", "var/"))
    }
    assert not {name for name in names if "node_modules" in name or name.endswith(".pyc")}


@pytest.mark.long("test_wheel_carries_code_and_built_files_and_nothing_of_the_tests")
def test_installed_wheel_finds_its_files_and_works_in_the_folder_of_its_commands(
    wheel, tmp_path
) -> None:
    home = tmp_path / "environment"
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    # The locked packages come from the environment of the tests.
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib"))
    install = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    python = str(home / "bin/python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", *install], check=True
    )
    work = tmp_path / "work"
    work.mkdir()

    found = subprocess.run(
        [python, "-c", LOOK], cwd=work, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    helped = subprocess.run(
        [str(home / "bin/nudgelab"), "help"], cwd=work, capture_output=True, text=True, check=True
    )

    var, script, template, translated = found
    assert Path(var).is_relative_to(work / "var")
    assert "built/rule_builder.js?" in script
    assert Path(template).is_relative_to(home)
    assert translated != "Unsubscribe"
    assert "install_playbook" in helped.stdout
    shutil.rmtree(home)
