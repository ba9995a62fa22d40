"""The commands demo and simulate_course: their output and their refusals."""

import json
import os
from datetime import UTC, datetime

import psutil
import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from activity.models import Course
from activity.operations.jsonl import import_jsonl
from config.demo.scenario import COURSE_KEY
from config.running.processes import RECORD_NAME

SMALL = ("--learners", "20", "--weeks", "3", "--seed", "5")


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.DEMO_LOGIN = True
    settings.VAR_DIR = tmp_path


def log_in(password):
    request = RequestFactory().post("/admin/login/", headers={"host": "localhost"})
    return authenticate(request, username="demo", password=password)


@pytest.mark.django_db(transaction=True)
def test_only_json_goes_to_standard_output_and_the_login_exists(capsys):
    call_command("demo", *SMALL, "--json")
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["learners"], found["weeks"], found["seed"]) == (20, 3, 5)
    assert [metric["key"] for metric in found["experiment"]["metrics"]] == [
        "quiz_attempted_7d",
        "quiz_attempts_7d",
        "module_completed_7d",
    ]
    assert "2025-10-26" in printed.err
    assert log_in("demo").is_superuser


@pytest.mark.django_db(transaction=True)
def test_demo_prints_its_results_and_keeps_an_existing_user_demo(capsys):
    get_user_model().objects.create_user("demo", password="mine")
    call_command("demo", *SMALL)
    printed = capsys.readouterr().out
    for words in ("Video-only", "handed off", "quiet hours", "true lift", "covered"):
        assert words in printed
    assert log_in("mine") is not None


@pytest.mark.django_db
def test_demo_does_not_run_in_production(settings):
    settings.DEMO_LOGIN = False
    with pytest.raises(CommandError, match="production"):
        call_command("demo", *SMALL)
    assert not Course.objects.exists()


@pytest.mark.django_db
def test_demo_does_not_run_while_workers_run(settings):
    me = psutil.Process(os.getpid())
    row = {"name": "serve", "pid": me.pid, "created": me.create_time()}
    (settings.VAR_DIR / RECORD_NAME).write_text(json.dumps([row]))
    with pytest.raises(CommandError, match="make stop"):
        call_command("demo", *SMALL)
    assert not Course.objects.exists()


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--learners", "0", "1 or more"),
        ("--learners", "many", "whole number"),
        ("--weeks", "2", "from 3 to 26"),
        ("--seed", "-1", "0 or more"),
        ("--probability", "1.5", "from 0 to 1"),
        ("--probability", "nan", "from 0 to 1"),
    ],
)
def test_option_out_of_range_is_refused_with_a_sentence(option, value, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("demo", f"{option}={value}")


@pytest.mark.slow
@pytest.mark.django_db
def test_simulated_course_can_be_imported(tmp_path):
    file = tmp_path / "course.jsonl"
    call_command("simulate_course", "--learners=15", "--days=20", "--seed=4", "--out", str(file))
    content = file.read_bytes().splitlines()
    result = import_jsonl(content, now=datetime(2025, 10, 27, tzinfo=UTC))
    assert result.faults == []
    assert result.saved == {"course": 1, "section": 8, "item": 18, "learner": 15, "enrollment": 15}
    assert result.stored == len(content) - sum(result.saved.values()) > 50


def test_simulated_course_goes_to_standard_output(capsys):
    call_command("simulate_course", "--learners=2", "--days=7", "--seed=4")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["type"] == "course"
    assert lines[0]["key"] == f"simulated-{4}" != COURSE_KEY


def test_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("simulate_course", "--learners=2", "--out", str(tmp_path))
