"""The commands, targets and links in the pages exist."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands

from tests.guards.code import ROOT, documents

COMMAND = re.compile(r"manage\.py ([a-z][a-z_]+)")
TARGET = re.compile(r"`make ([a-z-]+)|^make ([a-z-]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_targets_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(COMMAND.findall(text)) <= set(get_commands())
    assert {first or second for first, second in TARGET.findall(text)} <= targets
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


def test_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()

    assert "make demo" in readme
    assert "make test" in readme


def test_readme_says_how_long_the_first_steps_take_and_what_to_read_next() -> None:
    readme = (ROOT / "README.md").read_text()

    assert "installs the packages, which takes about a minute" in readme
    assert "the demo takes about two minutes on two cores" in readme
    assert "(docs/your-own-course.md)" in readme
