"""A test that `make test` leaves out names a quicker one that finds the same kind of fault."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.code import ROOT, functions, name, parsed, python_files

MARK = "pytest.mark.long"
# The function that marks parameters, and its own file.
FUNCTION, HOME = "longer", "tests/long.py"


def marks(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what marks below a node: each is a call that begins with the name of the test."""
    calls = {id(one.func): one for one in ast.walk(node) if isinstance(one, ast.Call)}
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and one.attr == "long" and ast.unparse(one) == MARK:
            yield calls.get(id(one), one)
        elif isinstance(one, ast.Call) and ast.unparse(one.func) == FUNCTION:
            yield one


def names_a_quicker_test(mark: ast.expr, path: Path) -> bool:
    """Return whether the mark names a test that runs, at least for some of its parameters.

    A function that gives a test a parameter more names that test itself.
    """
    if not isinstance(mark, ast.Call) or not mark.args:
        return False
    if ast.unparse(mark.args[0]) == "test.__name__":
        return True
    file, _, test = str(ast.literal_eval(mark.args[0])).rpartition("::")
    home = ROOT / file if file else path
    if not home.is_file():
        return False
    found = [each for each in functions(home) if each.name == test]
    decorators = [one for each in found for one in each.decorator_list]
    return bool(found) and not any(ast.unparse(one).startswith(MARK) for one in decorators)


def test_every_long_test_names_a_quicker_one() -> None:
    files = [
        path
        for path in python_files("tests")
        if name(path) != HOME and re.search(rf"{MARK}|{FUNCTION}\(", path.read_text())
    ]
    found = [(path, mark) for path in files for mark in marks(parsed(path))]

    assert len(found) > 5
    assert [
        (name(path), mark.lineno) for path, mark in found if not names_a_quicker_test(mark, path)
    ] == []


def test_marks_without_a_quicker_test_are_found() -> None:
    here = Path(__file__)
    planted = """
@pytest.mark.long("test_every_long_test_names_a_quicker_one")
def test_right(): ...
@pytest.mark.long("test_that_is_not_there")
def test_wrong(): ...
@pytest.mark.long
def test_bare(): ...
@pytest.mark.parametrize("seed", [0, *longer("test_that_is_not_there", 1)])
def test_with_more(seed): ...
"""
    found = sorted(marks(ast.parse(planted)), key=lambda mark: mark.lineno)

    assert [names_a_quicker_test(mark, here) for mark in found] == [True, False, False, False]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_sample_takes_one_in_so_many(number: int, request: pytest.FixtureRequest) -> None:
    is_long = request.node.get_closest_marker("long") is not None

    assert is_long == (number == 1)


@pytest.mark.sampled("one", "three")
@pytest.mark.parametrize("name", ["one", "two", "three"])
def test_a_sample_takes_those_that_it_names(name: str, request: pytest.FixtureRequest) -> None:
    is_long = request.node.get_closest_marker("long") is not None

    assert is_long == (name == "two")
