"""Each canonical form of stored values is produced in one place."""

import re

import pytest

from tests.guards.code import PACKAGES, name, python_files

# Code that only these files may contain. All others call it.
HOMES = {
    "canonical JSON": (r"sort_keys=True", {"common/json_text.py", "activity/payloads.py"}),
    "canonical rule": (r"to_json\(check_", {"segmentation/rules/canonical.py"}),
    "without NUL": (r"""replace\(["']\\(0|x00)""", {"common/stored_text.py"}),
    "kinds of JSON": (r"""["']an object["']""", {"common/json_text.py"}),
    "back-off": (r"\*\* ?(before|failures|attempts)\b|\bpower\(", {"common/back_off.py"}),
}


@pytest.mark.parametrize("what", HOMES)
def test_stands_where_it_belongs_and_nowhere_else(what: str) -> None:
    pattern, homes = HOMES[what]
    found = {name(path) for path in python_files(*PACKAGES) if re.search(pattern, path.read_text())}

    assert found == homes
