"""Log in, type answers and post them to the pages of a nudge."""

from uuid import uuid4

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from segmentation.models import Segment
from tests.factories import NOW, act, make_enrollment
from tests.interventions.factories import make_category, make_live_course
from tests.journeys.test_main_path import run_stages
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

RIGHTS = (
    "view_segment",
    "view_category",
    "view_learner",
    "add_cadence",
    "add_messagetemplate",
    "add_experiment",
    "send_messages",
)
HTMX = {"HX-Request": "true"}


def stop_clock(monkeypatch, settings):
    """Show the pages as of NOW, and keep mail in the mailbox."""
    settings.EMAIL_BACKEND = "interventions.channels.mailbox.MailboxBackend"
    for module in ("nudge_answers", "nudge_saving", "nudges"):
        monkeypatch.setattr(f"interventions.views.{module}.utc_now", lambda: NOW)


def make_class() -> Segment:
    """Return a segment of a live course, in which three learners are."""
    course = make_live_course(title="Biology 2025")
    segment = make_segment(make_playbook(course), ACTED_TODAY, name="Video-only")
    for each in (make_enrollment(course) for _ in range(3)):
        act(each)
    run_stages(NOW)
    make_category(name="Next steps")
    return segment


def log_in(client: Client, *rights: str):
    user = get_user_model().objects.create_user("bo", "bo@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return user


def typed(nudged, **changed):
    values = {
        "segment": nudged.pk,
        "category": make_category().pk,
        "message-TOTAL_FORMS": "1",
        "message-0-subject": "Try the quiz",
        "message-0-body": "Hello {{ learner.first_name | default: 'there' }},\n\ntry **the quiz**.",
        "message-0-format": "markdown",
        "message-0-delay": "at once",
        "tab": "one",
        "version": "0",
        "do": "summary",
        **changed,
    }
    return {name: value for name, value in values.items() if value is not None}


def address(name="nudge", key=None):
    return reverse(f"interventions:{name}", args=(key or uuid4(),))


def post(staff, nudged, *, key=None, **changed):
    return staff.post(address(key=key), typed(nudged, **changed), follow=True)


def text_of(response) -> str:
    return " ".join(response.content.decode().split())
