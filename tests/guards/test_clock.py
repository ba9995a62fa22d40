"""`now` is an argument: only the edge of the system may read the clock."""

import ast
from pathlib import Path

import pytest

from tests.guards.code import (
    APPS,
    PACKAGES,
    ROOT,
    contracts,
    lines,
    module_files,
    parsed,
    pure_modules,
    python_files,
)

EDGES = {"tasks.py", "views.py", "admin.py", "forms.py", "api.py", "management", "views", "admin"}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}
CHANCE = {"random", "secrets", "uuid4", "uuid1", "urandom", "getrandbits"}


def read_clocks(path: Path) -> list[str]:
    """Return the calls in the file that read a clock."""
    calls = [node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    names = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute | ast.Name)]
    clocks = ("datetime", "date", "timezone", "time")
    return [
        name
        for name in names
        if name == "utc_now"
        or (name.rpartition(".")[0].split(".")[-1] in clocks and name.split(".")[-1] in CLOCKS)
    ]


def is_edge(path: Path) -> bool:
    return bool(EDGES & set(path.relative_to(ROOT).parts))


INNER = [path for path in python_files(*APPS) if not is_edge(path)]
PURE = [path for module in pure_modules() for path in module_files(module)]


@pytest.mark.parametrize("path", INNER, ids=lambda path: str(path.relative_to(ROOT)))
def test_inner_module_is_given_the_instant(path: Path) -> None:
    assert set(read_clocks(path)) <= {"time.monotonic"}


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_module_reads_neither_clock_nor_chance(path: Path) -> None:
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in [*node.names, ast.alias(getattr(node, "module", None) or "")]
    }

    assert path == ROOT / "common" / "clock.py" or read_clocks(path) == []
    assert imported & CHANCE == set()


def test_guard_sees_each_way_to_read_a_clock(tmp_path: Path) -> None:
    for call in ("utc_now()", "datetime.now(UTC)", "timezone.now()", "date.today()", "time.time()"):
        path = tmp_path / f"{abs(hash(call))}.py"
        path.write_text(f"x = {call}\n")
        assert read_clocks(path) != [], call


def test_every_module_of_a_lowest_layer_is_held_to_be_pure() -> None:
    lowest = {
        f"{app}.{name.strip()}"
        for app in APPS
        for name in lines(contracts()[app]["layers"])[-1].split(":")
    }

    assert lowest <= set(pure_modules())


def test_wall_clock_has_one_reader() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in python_files(*PACKAGES)
        if set(read_clocks(path)) - {"utc_now", "time.monotonic"}
    }

    assert readers == {"common/clock.py"}
