"""The notebook is valid, runs on its own with other files of the zip file, and finds a lie."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest

from experiments.exports.notebook.reading import protocol_text
from experiments.exports.notebook_file import CHAPTERS, notebook_text
from tests.experiments.test_recompute import bundle_of_rows, rows_of, unpack

# What the schema of nbformat 4.5 asks of the cells that we write.
_TEXT = {"type": "array", "items": {"type": "string"}}
_COMMON = {
    "id": {"type": "string", "pattern": "^[a-zA-Z0-9-_]+$", "minLength": 1, "maxLength": 64},
    "metadata": {"type": "object"},
    "source": _TEXT,
}
_MARKDOWN = {
    "required": ["id", "cell_type", "metadata", "source"],
    "additionalProperties": False,
    "properties": {**_COMMON, "cell_type": {"const": "markdown"}},
}
_CODE = {
    "required": ["id", "cell_type", "metadata", "source", "outputs", "execution_count"],
    "additionalProperties": False,
    "properties": {
        **_COMMON,
        "cell_type": {"const": "code"},
        "outputs": {"type": "array"},
        "execution_count": {"type": ["integer", "null"]},
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["metadata", "nbformat_minor", "nbformat", "cells"],
    "properties": {
        "nbformat": {"const": 4},
        "nbformat_minor": {"type": "integer", "minimum": 5},
        "metadata": {
            "type": "object",
            "properties": {
                "kernelspec": {"required": ["name", "display_name"]},
                "language_info": {"required": ["name"]},
            },
        },
        "cells": {"type": "array", "items": {"oneOf": [_MARKDOWN, _CODE]}},
    },
}
CELLS: list[dict[str, Any]] = json.loads(notebook_text())["cells"]
CODE = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_notebook_is_valid() -> None:
    jsonschema.validate(json.loads(notebook_text()), SCHEMA)
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)
    assert [cell["id"] for cell in CELLS if cell["cell_type"] == "code"] == [*CHAPTERS, "result"]


def test_notebook_needs_only_numpy_scipy_and_statsmodels() -> None:
    nodes = [node for code in CODE for node in ast.walk(ast.parse(code))]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    modules |= {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    roots = {str(module).split(".")[0] for module in modules}

    assert roots - set(sys.stdlib_module_names) == {"numpy", "scipy", "statsmodels"}


def test_chapters_share_no_name() -> None:
    # In a notebook, a later function of the same name would replace the earlier one.
    defined = [
        node.name
        for code in CODE
        for node in ast.parse(code).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]

    assert len(defined) == len(set(defined))


@pytest.mark.long("tests/experiments/test_recompute.py::test_every_number_follows_from_the_rows")
@pytest.mark.slow
def test_notebook_agrees_with_the_report_in_a_python_of_its_own(tmp_path: Path) -> None:
    random = Random(8)
    rows = [*rows_of(random, "control", 12, 0.0), *rows_of(random, "nudge", 14, 1.0)]
    unpack(bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0}), tmp_path)

    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n\n".join(CODE)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stderr == ""
    assert done.stdout.startswith("The plan is the one that was locked at the start: sha256 ")
    assert done.stdout.endswith("All numbers agree.\n")
    assert done.stdout.count("\n") > 150


def test_notebook_says_that_a_protocol_is_not_the_one_of_the_start(tmp_path: Path) -> None:
    rows = [*rows_of(Random(8), "control", 6, 0.0), *rows_of(Random(8), "nudge", 6, 1.0)]
    unpack(bundle_of_rows(rows, {"control": 1.0, "nudge": 1.0}), tmp_path)
    assert protocol_text(tmp_path).startswith("The plan is the one")

    (tmp_path / "protocol.json").write_text("{ }")

    assert protocol_text(tmp_path).startswith("THE PLAN IS NOT THE ONE OF THE START: its sha256 is")
