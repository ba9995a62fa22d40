"""Rows are locked FOR NO KEY UPDATE: a stronger lock blocks inserts that refer to the row."""

import ast
import re
from pathlib import Path

import pytest

from tests.guards.code import PACKAGES, name, parsed, python_files

STRONG = re.compile(r"\bFOR (UPDATE|SHARE)\b")
FILES = python_files(*PACKAGES)


def strong_locks(path: Path) -> list[str]:
    """Return the places in the file that lock rows more strongly than needed."""
    nodes = list(ast.walk(parsed(path)))
    calls = [each for each in nodes if isinstance(each, ast.Call)]
    methods = [each for each in calls if isinstance(each.func, ast.Attribute)]
    found = [ast.unparse(call) for call in methods if _is_strong(call)]
    # Docstrings may mention it. Statements begin differently.
    docstrings = {ast.get_docstring(each, clean=False) for each in nodes if _has_docstring(each)}
    texts = [each.value for each in nodes if isinstance(each, ast.Constant)]
    sql = [text for text in texts if isinstance(text, str) and text not in docstrings]
    return found + [text for text in sql if STRONG.search(text)]


def _is_strong(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name in ("update_or_create", "aupdate_or_create"):
        return True
    no_key = [each.value for each in call.keywords if each.arg == "no_key"]
    return name == "select_for_update" and [ast.unparse(each) for each in no_key] != ["True"]


def _has_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)


@pytest.mark.slow
def test_rows_are_locked_for_no_key_update() -> None:
    assert [(name(path), lock) for path in FILES for lock in strong_locks(path)] == []


@pytest.mark.parametrize(
    "code",
    [
        "Row.objects.update_or_create(a=1)",
        "Row.objects.select_for_update()",
        "Row.objects.select_for_update(no_key=False, skip_locked=True)",
        "SQL = 'SELECT 1 FROM row FOR UPDATE SKIP LOCKED'",
    ],
)
def test_guard_sees_each_strong_lock(tmp_path: Path, code: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(f'"""FOR UPDATE."""\n{code}\n')
    assert len(strong_locks(path)) == 1
