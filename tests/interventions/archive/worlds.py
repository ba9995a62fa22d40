"""Old messages with all that can hang on one."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from activity.models import Enrollment
from interventions.models import (
    Cadence,
    Delivery,
    InAppMessage,
    InstructorTask,
    Receipt,
    SentMessage,
    SentPage,
    TrackingEvent,
)
from interventions.operations.archive import Archived, archive_old
from tests.factories import NOW
from tests.interventions.factories import make_delivery, make_evaluated, make_run

OLD = NOW - timedelta(days=500)
TRACE = [
    {"at": "2025-01-01T10:00:00+00:00", "state": "planned", "reason": "quiet_hours"},
    {"at": "2025-01-01T12:00:00+00:00", "state": "handed_off", "reason": ""},
]


def make_old(
    enrollment: Enrollment | None = None,
    cadence: Cadence | None = None,
    *,
    at: datetime = OLD,
    state: str = "handed_off",
    **fields: Any,
) -> Delivery:
    """Return a message that ended at the instant, and whose run is over."""
    enrollment = enrollment or make_evaluated()
    is_over = {"status": "finished", "ended_at": at, "ghost": state == "ghost"}
    run = make_run(enrollment, cadence, started_at=at, **is_over)
    is_sent = state in ("handed_off", "delivered", "bounced", "complained", "ghost", "in_doubt")
    values = {
        "state": state,
        "planned_at": at,
        "send_at": at,
        "expires_at": at + timedelta(days=7),
        "claimed_at": at if is_sent else None,
        "finished_at": at,
        "address": enrollment.learner.email or "",
        "trace": TRACE,
        **fields,
    }
    return make_delivery(run=run, **values)


def make_full(enrollment: Enrollment | None = None, *, at: datetime = OLD) -> Delivery:
    """Return an old message with a row of every table that refers to one."""
    found = make_old(enrollment, at=at, message_id=f"<{uuid4()}@here>", provider_id="postmark:7")
    page, _ = SentPage.objects.get_or_create(digest="page", defaults={"pieces": ["<b>", "</b>"]})
    SentMessage.objects.create(
        delivery=found,
        subject="Next up",
        page=page,
        fillings=["Hello Ana"],
        text="Hello Ana",
        locale="en",
        sender="Course <course@example.org>",
    )
    Receipt.objects.create(delivery=found, delivered_at=at, opened_at=at, clicked_at=at)
    for number in range(2):
        TrackingEvent.objects.create(
            digest=f"{found.pk}-{number}",
            provider="postmark",
            delivery=found,
            kind="opened",
            happened_at=at,
            received_at=at,
            user_agent=f"reader {number}",
        )
    InstructorTask.objects.create(
        delivery=found,
        enrollment=found.enrollment,
        title="Call Ana",
        text="Ask what is missing.",
        opened_at=at,
        due_at=at,
        state="done",
        closed_at=at,
        note="She will come back.",
    )
    InAppMessage.objects.create(
        delivery=found,
        learner=found.learner,
        enrollment=found.enrollment,
        title="Hello",
        html="Hello",
        text="Hello",
        sent_at=at,
        expires_at=at + timedelta(days=7),
    )
    return found


def archive(*, now: datetime = NOW, budget: float = 60.0) -> Archived:
    """Move and drop all that is old at the instant."""
    return archive_old(now=now, budget=budget)
