"""The sizes of the house style, measured on everything but tests and migrations."""

import statistics

import pytest

from tests.guards.code import PACKAGES, ROOT, body_lines, functions, python_files

LONGEST_FUNCTION = 50
LONGEST_FILE = 400
USUAL_FILE = 250
USUAL_FUNCTION = 22
MEDIAN_FUNCTION = 6

FILES = python_files(*PACKAGES, "bench")


def share_up_to(limit: int, sizes: list[int]) -> float:
    return sum(size <= limit for size in sizes) / len(sizes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_are_not_too_long(path) -> None:
    long = [
        f"{node.name} has {body_lines(node)} lines"
        for node in functions(path)
        if body_lines(node) > LONGEST_FUNCTION
    ]

    assert long == []
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_most_functions_are_short() -> None:
    sizes = [body_lines(node) for path in FILES for node in functions(path)]

    assert statistics.median(sizes) <= MEDIAN_FUNCTION
    assert share_up_to(USUAL_FUNCTION, sizes) >= 0.9


def test_most_files_are_short() -> None:
    sizes = [len(path.read_text().splitlines()) for path in FILES]

    assert share_up_to(USUAL_FILE, sizes) >= 0.9


@pytest.mark.parametrize(
    "path", python_files("tests"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_file_of_tests_is_not_too_long_and_its_folder_is_a_package(path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    assert (path.parent / "__init__.py").exists()
