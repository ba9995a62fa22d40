"""A number on a page is written with its thousands apart: 1,000,000."""

import re
from pathlib import Path

TEMPLATES = Path("templates")
CELL = re.compile(r'<td class="number"[^>]*>(?:<a [^>]*>)?\{\{ ([^}]+?) \}\}')
APART = ("|intcomma", 'g"')
# Texts that Python has written.
WRITTEN = ("row.", "arm.", "written")


def test_every_number_in_a_cell_has_its_thousands_apart() -> None:
    cells = [
        (str(path), said)
        for path in sorted(TEMPLATES.rglob("*.html"))
        for said in CELL.findall(path.read_text())
        if not said.startswith(WRITTEN)
    ]

    assert len(cells) > 10
    assert [cell for cell in cells if not cell[1].endswith(APART)] == []
