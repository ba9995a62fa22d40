"""A new site set up by docs/your-own-course.md mails no learner at night or too often."""

import json
from datetime import datetime
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.management import call_command

from activity.operations import ingest
from activity.operations.jsonl import import_jsonl
from interventions.models import Category, FrequencyCap, QuietHours
from interventions.operations import CadenceFields, StepFields, save_cadence, save_template
from segmentation.models import Segment
from tests.guards.test_own_course import PAGE, SAMPLE
from tests.journeys.test_main_path import run_stages

pytestmark = pytest.mark.django_db

LONDON = ZoneInfo("Europe/London")
LEARNERS = ("s-1001", "s-1002")


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """Return an instant of September 2025 in the learners' time zone."""
    return datetime(2025, 9, day, hour, minute, tzinfo=LONDON)


@pytest.fixture
def own_course(settings) -> None:
    """Import the roster of the page, install the playbook, create three cadences and go live."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    samples = dict(SAMPLE.findall(PAGE))
    import_jsonl(samples["roster.jsonl"].encode().splitlines(), now=local(1, 9))
    call_command("install_playbook", "five-segments", "--course", "biology-2025", stdout=StringIO())
    for name in ("one", "two", "three"):
        make_cadence(name)
    # Both were last seen at 01:35, so both are stalled seven days later at that time.
    ingest([play(learner, local(10, 1, 35)) for learner in LEARNERS], now=local(10, 2))
    run_stages(local(10, 12))
    import_jsonl(samples["live.jsonl"].encode().splitlines(), now=local(15, 8))
    run_stages(local(15, 8))


def play(learner: str, at: datetime) -> dict:
    fixed = {"course": "biology-2025", "verb": "PLAY_VIDEO", "item": "cells-video"}
    event = {"learner": learner, "occurred_at": at, "source": "test", "source_id": learner}
    return fixed | event


def make_cadence(name: str) -> None:
    category = Category.objects.get(key="next-steps")
    texts = {"en": (name, "<p>Your course is waiting.</p>")}
    template = save_template(name, name=name, category=category, texts=texts)
    segment = Segment.objects.get(key="stalled")
    fields = CadenceFields(name=name, category=category, segment=segment)
    save_cadence(name, fields=fields, steps=[StepFields(template)])


@pytest.mark.usefixtures("own_course")
def test_no_learner_is_mailed_at_night_or_twice_per_day() -> None:
    run_stages(local(17, 1, 35))
    run_stages(local(17, 7, 59))
    assert mail.outbox == []

    run_stages(local(17, 8))
    assert len(mail.outbox) == len(LEARNERS)
    for hour in (9, 12, 20, 23):
        run_stages(local(17, hour))
    assert len(mail.outbox) == len(LEARNERS)

    run_stages(local(18, 7, 59))
    assert len(mail.outbox) == len(LEARNERS)
    run_stages(local(18, 8))
    assert len(mail.outbox) == 2 * len(LEARNERS)


@pytest.mark.usefixtures("own_course")
def test_the_guards_are_shown() -> None:
    out = StringIO()
    call_command("check_course", "biology-2025", stdout=out)

    said = out.getvalue()
    assert "  - Nothing between 21:00 and 08:00, by the learner's own clock\n" in said
    assert "  - At most 1 message in a day, later if more\n" in said
    assert "  - At most 3 messages in 7 days, later if more\n" in said
    assert "Guards that are missing" not in said

    QuietHours.objects.all().delete()
    FrequencyCap.objects.update(active=False)
    out = StringIO()
    call_command("check_course", "biology-2025", "--json", stdout=out)
    guards = json.loads(out.getvalue())["guards"]
    assert guards["apply"] == []
    assert [each.partition(":")[0] for each in guards["missing"]] == [
        "quiet hours",
        "a frequency cap on everything",
    ]
