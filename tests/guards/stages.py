"""The table of the stages in docs/architecture.md, row by row."""

import re
from dataclasses import dataclass

from tests.guards.code import ROOT

_PAGE = (ROOT / "docs" / "architecture.md").read_text()
_SECTION = _PAGE.partition("## The stages\n")[2].partition("\n## ")[0]


@dataclass(frozen=True)
class StageRow:
    """The row of one stage in the page."""

    stage: str
    beat_entry: str
    task: str
    function: str
    tables: tuple[str, ...]


def _row(line: str) -> StageRow:
    stage, entry, task, function, tables = (
        cell.strip(" `") for cell in line.strip("|").split(" | ")
    )
    return StageRow(stage, entry, task, function, tuple(tables.split(", ")))


ROWS = [_row(line) for line in re.findall(r"^\|.*\|$", _SECTION, re.MULTILINE)[2:]]
