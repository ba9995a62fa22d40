"""A task reads the clock and calls one function, and returns only its counts."""

import ast

import pytest

from config.celery import app
from config.running.workers import STAGES
from tests.guards.code import APPS, ROOT, Function, body, body_lines, functions

MOST_LINES = 6
FILES = [path for app in APPS if (path := ROOT / app / "tasks.py").exists()]


def is_task(node: Function) -> bool:
    return any("shared_task" in ast.dump(decorator) for decorator in node.decorator_list)


def called(node: Function) -> list[str]:
    calls = [
        part.func for line in body(node) for part in ast.walk(line) if isinstance(part, ast.Call)
    ]
    return [ast.unparse(call) for call in calls if ast.unparse(call) != "utc_now"]


TASKS = [node for path in FILES for node in functions(path) if is_task(node)]


def test_tasks_are_found() -> None:
    assert TASKS


@pytest.mark.parametrize("node", TASKS, ids=lambda node: node.name)
def test_task_is_thin(node: Function) -> None:
    assert node.name.endswith("_task")
    assert body_lines(node) <= MOST_LINES
    assert len(called(node)) == 1, called(node)


@pytest.mark.parametrize("node", TASKS, ids=lambda node: node.name)
def test_task_returns_only_what_it_called_and_takes_ids_by_keyword(node: Function) -> None:
    returned = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]

    # The counts of the call are stored with the stage's last run. No result goes to the broker.
    assert all(isinstance(value, ast.Call) for value in returned)
    assert node.args.args == []


def test_no_result_of_a_task_is_kept_by_celery() -> None:
    assert app.conf.task_ignore_result


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_tasks_module_holds_tasks_alone(path) -> None:
    assert all(is_task(node) for node in functions(path))


def test_every_stage_of_the_beat_is_a_task_that_exists() -> None:
    found = {f"{path.parent.name}.tasks.{node.name}" for path in FILES for node in functions(path)}

    assert set(STAGES.values()) <= found
