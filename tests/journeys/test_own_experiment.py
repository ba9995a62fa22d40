"""An experiment set up only by step 6 of docs/your-own-course.md, while it is night."""

import json
import re
from datetime import datetime, timedelta
from email.utils import parseaddr
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.core import mail
from django.core.management import call_command
from django.test import Client

from activity.operations import ingest
from activity.operations.jsonl import import_jsonl
from common.clock import utc_now
from experiments.models import Assignment, Experiment
from experiments.queries import report
from experiments.reporting.facts import Fate
from interventions.models import Cadence, Delivery, Run
from segmentation.models import Segment
from tests.admin.test_changes import cadence_form, make_template, page
from tests.experiments.test_admin import experiment_form
from tests.guards.test_own_course import PAGE, SAMPLE
from tests.journeys.test_main_path import run_stages

pytestmark = pytest.mark.django_db

LEARNERS = 30
NIGHT_HOUR, MORNING_HOUR = 2, 8
ARMS = re.findall(r"^\| (\d) \| `(\w+)` \| (\w+) \| ([\d.]+) \| (yes|no) \|$", PAGE, re.MULTILINE)
HEADER = "| the sentence says | what to do |\n| --- | --- |\n"
TABLE = PAGE.partition(HEADER)[2].partition("\n\n")[0]
SENTENCES = [row.split(" | ")[0].removeprefix("| ") for row in TABLE.splitlines()]
BUTTON = PAGE.partition('On the page of the experiment, press "')[2].partition('"')[0]


@pytest.fixture
def now():
    return utc_now()


@pytest.fixture
def night_course(settings, now) -> None:
    """Import a course like that of the page, in a time zone in which it is night now."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    ahead = (NIGHT_HOUR - now.hour + 11) % 24 - 11
    zone = f"Etc/GMT{-ahead:+d}"
    roster = dict(SAMPLE.findall(PAGE))["roster.jsonl"]
    starts, due, ends = (f"{now + timedelta(days=days):%Y-%m-%d}" for days in (-20, 4, 60))
    for old, new in (
        ("Europe/London", zone),
        ("2025-09-01T08", f"{starts}T08"),
        ("2025-09-01", starts),
        ("2025-09-14", due),
        ("2025-12-19", ends),
    ):
        roster = roster.replace(old, new)
    for number in range(LEARNERS):
        learner = {
            "type": "learner",
            "external_id": f"n-{number}",
            "email": f"n{number}@example.org",
        }
        enrollment = {"type": "enrollment", "course": "biology-2025", "learner": f"n-{number}"}
        roster += f"{json.dumps(learner)}\n{json.dumps(enrollment)}\n"
    came = now - timedelta(days=2)
    import_jsonl(roster.encode().splitlines(), now=came)
    call_command("install_playbook", "five-segments", "--course", "biology-2025", stdout=StringIO())
    ingest([act(number, "LOGIN", at=came) for number in range(LEARNERS)], now=came)
    run_stages(came + timedelta(hours=1))
    live = {
        "type": "course",
        "key": "biology-2025",
        "live_since": (now - timedelta(days=1)).isoformat(),
    }
    import_jsonl([json.dumps(live).encode()], now=now - timedelta(days=1))
    run_stages(now - timedelta(days=1, hours=1))


def act(number: int, verb: str, *, at: datetime) -> dict[str, Any]:
    fixed = {"course": "biology-2025", "learner": f"n-{number}", "source": "test"}
    event = {"verb": verb, "occurred_at": at, "source_id": f"{verb}-{number}"}
    return fixed | event | ({"item": "cells-video"} if verb == "PLAY_VIDEO" else {})


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def start(staff: Client, experiment: Experiment) -> str:
    """Start the experiment with the button of the page. Return the messages."""
    shown = page(Experiment, experiment)
    (pressed,) = [
        button.action for button in staff.get(shown).context["buttons"] if button.text == BUTTON
    ]
    response = staff.post(f"{shown.removesuffix('change/')}press/{pressed}/")
    return " ".join(str(each) for each in get_messages(response.wsgi_request))


def make_draft(staff: Client, segment: Segment) -> Experiment:
    """Create the experiment of the page with the arms of its table."""
    rows = [
        {"position": position, "key": key, "name": name, "weight": weight}
        | ({"is_control": "on"} if control == "yes" else {})
        for position, key, name, weight, control in ARMS
    ]
    staff.post(page(Experiment, action="add"), experiment_form(rows, segment=segment.pk))
    return Experiment.objects.get()


@pytest.mark.slow
@pytest.mark.usefixtures("night_course")
def test_step_six_links_an_experiment_that_sends_to_the_treatment_arm_after_the_night(
    staff: Client, now: datetime
) -> None:
    segment = Segment.objects.get(key="video-only")
    experiment = make_draft(staff, segment)
    arms = {arm.key: arm for arm in experiment.arms.all()}
    nothing_sent, no_ghosts, for_everybody = SENTENCES
    assert nothing_sent in start(staff, experiment)

    form = cadence_form(make_template(), segment=segment.pk, status="active")
    staff.post(page(Cadence, action="add"), form)
    assert for_everybody in start(staff, experiment)
    cadence = Cadence.objects.get(status="active")
    step = cadence.steps.get()
    form |= {"steps-INITIAL_FORMS": 1, "steps-0-id": step.pk, "steps-0-cadence": cadence.pk}
    staff.post(page(Cadence, cadence), form | {"arm": arms["nudge"].pk})
    assert no_ghosts in start(staff, experiment)
    linked = {"arm": arms["nudge"].pk, "ghost_for": arms["control"].pk}
    staff.post(page(Cadence, cadence), form | linked)
    assert f"{experiment} (Biology) is running." in start(staff, experiment)

    # In the learners' time zone it is night.
    later = now + timedelta(minutes=5)
    ingest([act(number, "PLAY_VIDEO", at=later) for number in range(LEARNERS)], now=later)
    run_stages(later)
    drawn = dict(Assignment.objects.values_list("enrollment__learner__email", "arm__key"))
    assert len(drawn) == LEARNERS
    assert set(drawn.values()) == {"control", "nudge"}
    assert mail.outbox == []
    assert set(Delivery.objects.values_list("state", "reason")) == {("planned", "quiet_hours")}

    morning = now + timedelta(hours=MORNING_HOUR - NIGHT_HOUR)
    run_stages(morning)
    mailed = {parseaddr(message.to[0])[1] for message in mail.outbox}
    assert mailed == {email for email, arm in drawn.items() if arm == "nudge"}
    assert len(mail.outbox) == len(mailed)
    ghosts = Run.objects.filter(ghost=True).values_list("enrollment__learner__email", flat=True)
    assert set(ghosts) == {email for email, arm in drawn.items() if arm == "control"}

    experiment.refresh_from_db()
    found = report(experiment, as_of=morning + timedelta(minutes=1))
    assert {arm.name: arm.assigned for arm in found.arms} == {
        "Control": len(ghosts),
        "Nudge": len(mailed),
    }
    received = {arm.name: arm.deliveries for arm in found.arms}
    assert {fate.outcome for fate in received["Control"]} == {"ghost"}
    assert received["Control"][Fate("ghost", "")].learners == len(ghosts)
    assert received["Nudge"][Fate("handed_off", "")].learners == len(mailed)
    assert "has not started" not in staff.get(f"/reports/{experiment.key}/").content.decode()


def test_page_has_the_arms_and_the_sentences_of_step_six() -> None:
    assert [row[1:] for row in ARMS] == [
        ("control", "Control", "0.5", "yes"),
        ("nudge", "Nudge", "0.5", "no"),
    ]
    assert len(SENTENCES) == 3
