"""`now` is an argument: only the outermost code of the system may read the clock."""

import ast
from functools import cache
from pathlib import Path

from tests.guards.code import (
    APPS,
    PACKAGES,
    ROOT,
    contracts,
    lines,
    module_files,
    name,
    nodes_of,
    pure_modules,
    python_files,
)

EDGES = {
    "tasks.py", "views.py", "admin.py", "forms.py", "api.py", "management", "views", "admin",
    "forms",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}
CHANCE = {"random", "secrets", "uuid4", "uuid1", "urandom", "getrandbits"}


@cache
def read_clocks(path: Path) -> list[str]:
    """Return the calls in the file that read a clock."""
    calls = [node.func for node in nodes_of(path, ast.Call)]
    called = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute | ast.Name)]
    clocks = ("datetime", "date", "timezone", "time")
    return [
        call
        for call in called
        if call == "utc_now"
        or (call.rpartition(".")[0].split(".")[-1] in clocks and call.split(".")[-1] in CLOCKS)
    ]


def imported(path: Path) -> set[str]:
    """Return the names that the file imports, and the packages from which it does."""
    return {
        alias.name.split(".")[0]
        for kind in (ast.Import, ast.ImportFrom)
        for node in nodes_of(path, kind)
        for alias in [*node.names, ast.alias(getattr(node, "module", None) or "")]
    }


def is_edge(path: Path) -> bool:
    return bool(EDGES & set(path.relative_to(ROOT).parts))


INNER = [path for path in python_files(*APPS) if not is_edge(path)]
PURE = [path for module in pure_modules() for path in module_files(module)]


def test_inner_modules_are_given_the_instant() -> None:
    calls = [(name(path), call) for path in INNER for call in read_clocks(path)]

    assert [each for each in calls if each[1] != "time.monotonic"] == []


def test_pure_modules_read_no_clock() -> None:
    calls = [(name(path), call) for path in PURE for call in read_clocks(path)]

    assert [each for each in calls if each[0] != "common/clock.py"] == []


def test_pure_modules_use_no_randomness() -> None:
    assert [(name(path), found) for path in PURE if (found := imported(path) & CHANCE)] == []


def test_guard_sees_each_way_to_read_a_clock(tmp_path: Path) -> None:
    for call in ("utc_now()", "datetime.now(UTC)", "timezone.now()", "date.today()", "time.time()"):
        path = tmp_path / f"{abs(hash(call))}.py"
        path.write_text(f"x = {call}\n")
        assert read_clocks(path) != [], call


def test_every_module_of_a_lowest_layer_is_held_to_be_pure() -> None:
    lowest = {
        f"{app}.{module.strip()}"
        for app in APPS
        for module in lines(contracts()[app]["layers"])[-1].split(":")
    }

    assert lowest <= set(pure_modules())


def test_wall_clock_has_one_reader() -> None:
    readers = {
        name(path)
        for path in python_files(*PACKAGES)
        if set(read_clocks(path)) - {"utc_now", "time.monotonic"}
    }

    assert readers == {"common/clock.py"}
