"""The notebook that computes a report again, as a file in Jupyter's format 4.5. Pure."""

import ast
import json
import re
from functools import cache
from importlib.resources import files

# The modules of the notebook's chapters, each of which uses only those before it.
CHAPTERS = (
    "reading",
    "rates",
    "adaptive",
    "means",
    "others",
    "any_time",
    "sections",
    "checks",
    "report",
)
_PACKAGE = f"{__package__}.notebook"
_MARKS = re.compile(r"  # (?:fmt: skip|type: ignore\S*)$", re.MULTILINE)
_INTRODUCTION = """# The report, computed again

This notebook computes each number of `numbers.csv` that is no setting from `rows.csv`, and prints
both side by side. The README says which numbers of the page are not among them. Unpack all files of
the zip file into one folder, open the notebook there and run all cells. It needs Python 3.11 or
later with numpy, scipy and statsmodels.

Numbers agree to nine digits, those of exact tests to five, because such tests search for the worst
rates in small steps. Another release of numpy may draw other random numbers; then the permutation
test of small arms differs in the third digit."""
_RESULT = """print(protocol_text(Path(".")))
print(report_text(Path(".")))"""


@cache
def notebook_text() -> str:
    """Return the notebook as JSON. It is the same for all experiments."""
    cells = [_cell("introduction", "markdown", _INTRODUCTION)]
    for name in CHAPTERS:
        words, code = _chapter(name)
        cells += [_cell(f"{name}-words", "markdown", words), _cell(name, "code", code)]
    cells += [_cell("result", "code", _RESULT)]
    language = {"name": "python"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": language},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1)


def _cell(name: str, kind: str, text: str) -> dict[str, object]:
    cell = {"cell_type": kind, "id": name, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _chapter(name: str) -> tuple[str, str]:
    """Return the words and the code of a chapter. All chapters share one namespace there."""
    text = files(_PACKAGE).joinpath(f"{name}.py").read_text("utf-8")
    module = ast.parse(text)
    title, _, words = (ast.get_docstring(module) or "").partition("\n")
    lines = text.splitlines()
    left_out = [module.body[0], *filter(_is_of_chapter, module.body)]
    for node in left_out:
        own = slice(node.lineno - 1, node.end_lineno)
        lines[own] = [""] * len(lines[own])
    code = _MARKS.sub("", "\n".join(lines)).strip()
    return f"## {title.rstrip('.')}\n{words}", re.sub(r"\n{4,}", "\n\n\n", code)


def _is_of_chapter(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_PACKAGE)
