"""The commands demo and simulate_course: their output and their refusals."""

import json
import os
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.db.models import ProtectedError
from django.test import RequestFactory

from activity.models import Course, Enrollment, Event, Learner
from activity.operations.jsonl import import_jsonl
from activity.simulation.history import course_ends_at
from config.demo import timetable
from config.demo.removal import remove_demo
from config.demo.scenario import COURSE_KEY, EXPERIMENT_KEY
from config.running.processes import RECORD_NAME
from experiments.models import DeliveryOutcome, Experiment
from interventions.models import Delivery, MailboxMessage, Run
from interventions.operations import save_category, save_template
from segmentation.models import Playbook, Transition
from segmentation.operations import install_playbook
from tests.factories import make_course, make_enrollment, make_learner

SMALL = ("--learners", "20", "--weeks", "3", "--seed", "5")


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.DEMO_LOGIN = True
    settings.VAR_DIR = tmp_path


def log_in(password):
    request = RequestFactory().post("/admin/login/", headers={"host": "localhost"})
    return authenticate(request, username="demo", password=password)


# Two demos show all of it: to play one takes seconds, and less with fewer stops. At noon mail goes
# out, and at midnight none. tests/journeys/test_demo.py plays one with all stops.
@pytest.mark.django_db(transaction=True)
def test_demo_replaces_the_earlier_one_and_leaves_everything_else(capsys, settings, monkeypatch):
    monkeypatch.setattr(timetable, "LONGEST_WAIT", timedelta(hours=24))
    # The test runner would keep mail in memory, and nothing of it would have to be removed.
    settings.EMAIL_BACKEND = "interventions.channels.mailbox.MailboxBackend"
    mine = make_enrollment(make_course(key="mine"), make_learner(email="me@mine.example"))
    shared = install_playbook("five-segments", course_keys=["mine"], now=course_ends_at())
    call_command("demo", "--learners=12", "--weeks=3", "--seed=1", "--json")
    assert_only_json_goes_to_standard_output(capsys.readouterr())
    assert log_in("demo").is_superuser
    get_user_model().objects.all().delete()
    get_user_model().objects.create_user("demo", password="mine")

    monkeypatch.setattr(timetable, "LONGEST_WAIT", timedelta(hours=12))
    call_command("demo", *SMALL)

    printed = capsys.readouterr().out
    for words in ("Video-only", "handed off", "quiet hours", "true lift", "covered"):
        assert words in printed
    assert log_in("mine") is not None
    assert Enrollment.objects.filter(course__key=COURSE_KEY).count() == 20
    assert set(Course.objects.values_list("key", flat=True)) == {"mine", COURSE_KEY}
    assert_a_demo_with_other_dependent_data_is_not_deleted()
    assert_removed_but_for(mine, shared)


def assert_only_json_goes_to_standard_output(printed):
    found = json.loads(printed.out)
    assert (found["learners"], found["weeks"], found["seed"]) == (12, 3, 1)
    assert [metric["key"] for metric in found["experiment"]["metrics"]] == [
        "quiz_attempted_7d",
        "quiz_attempts_7d",
        "module_completed_7d",
    ]
    assert "2025-10-26" in printed.err


def assert_removed_but_for(mine, shared):
    assert remove_demo()
    assert list(Enrollment.objects.all()) == [mine]
    assert list(Learner.objects.all()) == [mine.learner]
    assert list(Playbook.objects.all()) == [shared]
    for model in (Experiment, DeliveryOutcome, Run, Delivery, MailboxMessage, Event, Transition):
        assert not model.objects.exists()
    assert not remove_demo()


def assert_a_demo_with_other_dependent_data_is_not_deleted():
    before = Event.objects.count()
    template = save_template(
        "mine",
        name="Mine",
        category=save_category("demo-tips", name="Tips"),
        texts={"en": ("Mine", "<p>Mine</p>")},
    )
    with pytest.raises(ProtectedError):
        remove_demo()
    assert Event.objects.count() == before
    assert template.category.key == "demo-tips"
    assert Experiment.objects.filter(key=EXPERIMENT_KEY).exists()
    template.delete()


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
