"""Rows are read by course in one way: every model says how it belongs to courses, and pages ask."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.test.utils import isolate_apps

from activity.access import in_courses
from activity.admin.bases import ScopedRows
from activity.models import Course, CourseScope, CourseScoped
from tests.guards.code import APPS, PACKAGES, nodes_of, parsed, python_files
from tests.guards.code import name as file_name

OURS = [model for model in apps.get_models() if model._meta.app_label in PACKAGES]
# Files that show rows to users: pages, forms, exports and commands.
EDGES = ("admin", "admin.py", "forms", "forms.py", "management", "views", "views.py")
# The functions that ask which rows a user may see.
ASKING = {"for_user", "viewable"}
# Rows that are read without a user, each with the reason.
WITHOUT_USER = {
    (
        "config/views/demo.py",
        "Item",
    ): "the open pages of the demo's course",
    ("config/views/today.py", "Course"): "whether the installation is new",
    ("experiments/forms.py", "Arm"): "arms of the experiment that the form has open",
    ("interventions/admin/ledger.py", "Enrollment"): "ids of the learner whose page is open",
    ("segmentation/admin/members.py", "SegmentVersion"): "the rule of the member on the page",
    ("segmentation/admin/playbooks.py", "Playbook"): "the playbook that the page saves",
    ("segmentation/admin/preview.py", "Enrollment"): "a count in the course that the form let in",
    ("segmentation/admin/reasons.py", "SegmentVersion"): "the rule of the member on the page",
    ("segmentation/management/commands/evaluate_segments.py", "Enrollment"): "a count in courses",
    ("segmentation/management/commands/size_segments.py", "Enrollment"): "a count in a course",
}


def without_scope(found: list[type[models.Model]]) -> list[str]:
    """Return the models that do not say how their rows belong to courses."""
    return [
        model._meta.label
        for model in found
        if not isinstance(getattr(model, "course_scope", None), CourseScope)
    ]


def reads(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield each model read through `.objects`, and whether the rows are asked for a user."""
    asked = {
        id(inner)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ASKING
        for inner in ast.walk(call)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("objects", "_default_manager"):
            owner = node.value
            yield getattr(owner, "attr", getattr(owner, "id", "")), id(node) in asked


def edge_files() -> list[Path]:
    """Return the files of every edge of our apps."""
    found = python_files(*APPS, "config")
    return [path for path in found if set(path.parts) & set(EDGES)]


def unasked(path: Path, tree: ast.AST) -> list[tuple[str, str]]:
    """Return the file with each of our models that it reads without asking for a user."""
    names = {model.__name__ for model in OURS}
    return [
        (file_name(path), model)
        for model, is_asked in reads(tree)
        if model in names and not is_asked
    ]


def test_every_model_says_how_its_rows_belong_to_courses() -> None:
    assert without_scope(OURS) == []


@isolate_apps("activity")
def test_new_model_without_a_scope_is_found() -> None:
    class Undeclared(CourseScoped):
        class Meta:
            app_label = "activity"

    assert without_scope([Undeclared]) == ["activity.Undeclared"]


@pytest.mark.django_db
def test_every_path_leads_to_courses() -> None:
    for model in OURS:
        for path in model.course_scope.paths:
            target = model if path == "pk" else _target(model, path)
            assert target is Course, f"{model._meta.label}: {path} leads to {target}"
        assert not in_courses(model._default_manager.all(), Course.objects.none()).exists()


def _target(model: type[models.Model], path: str) -> object:
    for step in path.split("__"):
        model = model._meta.get_field(step).related_model
    return model


def test_every_admin_page_and_every_table_in_it_reads_through_for_user() -> None:
    pages = [page for model, page in admin.site._registry.items() if model in OURS]
    unscoped = [page for page in pages if not isinstance(page, ScopedRows)]
    tables = [each for page in pages for each in page.inlines if not issubclass(each, ScopedRows)]

    assert len(pages) > 30
    assert (unscoped, tables) == ([], [])


def test_every_edge_reads_its_rows_for_a_user() -> None:
    found = {each for path in edge_files() for each in unasked(path, parsed(path))}

    assert found == set(WITHOUT_USER)


def test_row_read_without_a_user_is_found() -> None:
    path = edge_files()[0]

    assert unasked(path, ast.parse("Learner.objects.get(pk=1)")) == [(file_name(path), "Learner")]
    assert unasked(path, ast.parse("for_user(models.Learner.objects.all(), who)")) == []


def links_above(place: int) -> tuple[str, ...]:
    return tuple(
        start
        for upper in APPS[place + 1 :]
        for start in (f"{upper}.", f"admin:{upper}_", f"{upper}_")
    )


def test_lower_apps_name_no_list_of_an_upper_one() -> None:
    # A link goes from the lower page to the upper list, so the upper app adds it. Named by a
    # string, it would be an import that no contract sees.
    found = [
        f"{file_name(path)}: {node.value}"
        for place, app in enumerate(APPS)
        for path in python_files(app)
        for node in nodes_of(path, ast.Constant)
        if isinstance(node.value, str) and node.value.startswith(links_above(place))
    ]

    assert found == []
