"""The table of the stages in docs/architecture.md is correct."""

import ast
from importlib import import_module

import pytest
from django.apps import apps

from config.celery import app
from config.running.workers import STAGES
from tests.guards.code import ROOT, body, functions
from tests.guards.stages import ROWS, StageRow

MODELS = {model.__name__ for model in apps.get_models()}
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.stage)


def found(path: str) -> object:
    """Return the object that a dotted path names."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def called_by(task: str) -> object:
    """Return the function that a task calls in addition to the clock."""
    module, _, name = task.rpartition(".")
    file = ROOT / f"{module.replace('.', '/')}.py"
    (node,) = [node for node in functions(file) if node.name == name]
    calls = [part.func for line in body(node) for part in ast.walk(line) if type(part) is ast.Call]
    (function,) = {ast.unparse(call) for call in calls} - {"utc_now"}
    return found(f"{module}.{function}")


def test_table_has_every_stage_in_order() -> None:
    assert [row.stage for row in ROWS] == list(STAGES)


@each_row
def test_beat_starts_the_task_in_the_queue_of_the_stage(row: StageRow) -> None:
    app.loader.import_default_modules()

    assert app.conf.beat_schedule[row.beat_entry]["task"] == row.task
    assert app.conf.task_routes[row.task] == {"queue": row.beat_entry}
    assert row.task in app.tasks


@each_row
def test_task_calls_the_function_that_stands_in_the_module_of_the_stage(row: StageRow) -> None:
    function = found(row.function)

    assert called_by(row.task) is function
    assert function.__module__.split(".")[1:] == ["stages", row.stage]


@each_row
def test_tables_of_a_stage_exist(row: StageRow) -> None:
    assert set(row.tables) <= MODELS


def test_every_module_of_a_folder_of_stages_is_a_stage() -> None:
    modules = {path.stem for path in ROOT.glob("*/stages/*.py")} - {"__init__"}

    assert modules == set(STAGES)
