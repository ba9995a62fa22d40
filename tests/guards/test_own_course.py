"""The page "Your own course": its samples import, its commands run, its lists are complete."""

import re
import shlex
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from activity.canonical import FIELDS
from activity.jsonl import TYPES
from activity.models import Course, Enrollment, Event, Item, ItemKind, Learner, Section
from activity.operations.roster_values import OWN_FIELDS
from activity.verbs import BUILT_IN
from interventions.policy.decision import Reason
from segmentation.models import PlaybookCourse, Transition
from tests.guards.code import ROOT

PAGE = (ROOT / "docs" / "your-own-course.md").read_text()
PROGRAM = ".venv/bin/python manage.py "
SAMPLE = re.compile(r"^```json (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = "install_playbook five-segments --course biology-2025"
LOOKED_UP = {
    Course: set(),
    Section: {"course"},
    Item: {"course", "parent"},
    Learner: set(),
    Enrollment: {"course", "learner", "section"},
}
MODELS = {
    "course": Course,
    "section": Section,
    "item": Item,
    "learner": Learner,
    "enrollment": Enrollment,
}


def commands() -> Iterator[str]:
    for block in COMMANDS.findall(PAGE):
        yield from block.splitlines()


def fields_of_table(heading: str) -> set[str]:
    section = re.split(r"^##+ ", PAGE.partition(f"{heading}\n")[2], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with the page's samples in it."""
    for name, text in SAMPLE.findall(PAGE):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.usefixtures("folder")
def test_every_command_of_the_page_runs_on_its_samples() -> None:
    said = {}
    for line in commands():
        assert line.startswith(PROGRAM), line
        out = StringIO()
        call_command(*shlex.split(line.removeprefix(PROGRAM)), stdout=out)
        said[line.removeprefix(PROGRAM)] = out.getvalue()
        if line.endswith("roster.jsonl --dry-run"):
            assert not Course.objects.exists()

    assert "it has no playbook" in said["import_jsonl roster.jsonl --dry-run"]
    assert "enrollment: 2 saved\n" in said["import_jsonl roster.jsonl"]
    assert "event: 4 would be stored" in said["import_jsonl events.jsonl --dry-run"]
    assert "event: 4 stored, 0 already stored before" in said["import_jsonl events.jsonl"]
    assert "it is over" in said["import_jsonl live.jsonl"]
    assert "Created quiet hours 21:00 to 08:00, because there was none." in said[INSTALL]
    assert "Nothing between 21:00 and 08:00" in said["check_course biology-2025"]
    assert "Guards that are missing" not in said["check_course biology-2025"]
    (preview,) = [text for line, text in said.items() if line.startswith("preview_rule")]
    assert "1 of 2 learners in scope.\ns-1002\n" in preview
    assert PlaybookCourse.objects.filter(course__key="biology-2025").exists()
    assert Event.objects.count() == 4
    assert not Transition.objects.filter(starts=True).exists()


def test_page_has_a_sample_of_every_type() -> None:
    samples = "".join(text for _, text in SAMPLE.findall(PAGE))

    assert {type_ for type_ in TYPES if f'{{"type": "{type_}"' in samples} == set(TYPES)


@pytest.mark.parametrize("type_", MODELS)
def test_page_names_every_field_of_a_roster_line(type_: str) -> None:
    model = MODELS[type_]

    assert fields_of_table(f"### {type_}") == OWN_FIELDS[model] | LOOKED_UP[model]


def test_page_names_every_field_of_an_event() -> None:
    assert fields_of_table("## 2. Write the events") == FIELDS


@pytest.mark.parametrize("word", [*BUILT_IN, *ItemKind.values])
def test_page_names_every_verb_and_kind(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("reason", list(Reason))
def test_page_explains_every_reason_of_a_delivery(reason: Reason) -> None:
    assert f"\n| {reason.replace('_', ' ')} | " in PAGE
