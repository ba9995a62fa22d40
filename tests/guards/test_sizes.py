"""The size limits of the house style, measured on all code except tests and migrations."""

import statistics
from pathlib import Path

from tests.guards.code import PACKAGES, body_lines, functions, name, python_files

LONGEST_FUNCTION = 50
LONGEST_FILE = 400
USUAL_FILE = 250
USUAL_FUNCTION = 22
MEDIAN_FUNCTION = 6

FILES = python_files(*PACKAGES, "bench")
TESTS = python_files("tests")


def share_up_to(limit: int, sizes: list[int]) -> float:
    return sum(size <= limit for size in sizes) / len(sizes)


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_function_is_too_long() -> None:
    long = [
        f"{name(path)}: {node.name} has {body_lines(node)} lines"
        for path in FILES
        for node in functions(path)
        if body_lines(node) > LONGEST_FUNCTION
    ]

    assert long == []


def test_no_file_is_too_long() -> None:
    assert [name(path) for path in (*FILES, *TESTS) if length(path) > LONGEST_FILE] == []


def test_most_functions_are_short() -> None:
    sizes = [body_lines(node) for path in FILES for node in functions(path)]

    assert statistics.median(sizes) <= MEDIAN_FUNCTION
    assert share_up_to(USUAL_FUNCTION, sizes) >= 0.9


def test_most_files_are_short() -> None:
    sizes = [length(path) for path in FILES]

    assert share_up_to(USUAL_FILE, sizes) >= 0.9


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in TESTS}

    assert [name(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
