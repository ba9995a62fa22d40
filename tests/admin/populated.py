"""Courses with rows of every model, for tests of who may see them."""

from typing import Any
from uuid import uuid4

from activity.models import (
    Course,
    Feed,
    FeedCursor,
    FeedHold,
    FeedHour,
    PastChange,
    Section,
    Settling,
)
from activity.operations import ingest
from common.archive import make_months, month_of
from experiments.ledger.snapshots import Snapshot
from experiments.models import (
    Assignment,
    DeliveryOutcome,
    LedgerEntry,
    SectionDraw,
    SharePeriod,
    Stratum,
)
from experiments.reporting.text import CSV_COLUMNS
from interventions.models import (
    ArchivedDelivery,
    ArchivedTrace,
    Consent,
    ContentMapping,
    CourseSite,
    Delivery,
    FrequencyCap,
    Holdout,
    InAppMessage,
    InstructorTask,
    LearnerPause,
    MailboxMessage,
    Nudge,
    Pause,
    QuietHours,
    Receipt,
    SentMessage,
    SentPage,
    Suppression,
    TrackingEvent,
    WebhookEndpoint,
)
from interventions.operations.archived_messages import ARCHIVED_DELIVERIES, ARCHIVED_TRACES
from segmentation.models import (
    ArchivedTransition,
    EvaluationDay,
    Freeze,
    Membership,
    Norms,
    Override,
    Surge,
    WaitingEntry,
)
from segmentation.operations import ARCHIVED_TRANSITIONS
from tests.factories import NOW, act, make_item, make_learner
from tests.interventions.factories import (
    arm_of,
    assign,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_experiment,
    make_live_course,
    make_run,
    make_transition,
)
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment


def populate(word: str) -> Course:
    """Make a course with rows of every model of a course. All their texts contain the word."""
    course = make_live_course(key=f"{word}-course", title=f"{word} course")
    section = Section.objects.create(course=course, key=f"{word}-section", teacher=f"{word} T.")
    learner = make_learner(
        external_id=f"{word}-learner", name=f"{word} Learner", email=f"{word}@example.org"
    )
    enrollment = make_evaluated(course, learner)
    enrollment.section = section
    enrollment.save()
    module = make_item(course, "module", key=f"{word}-module", title=f"{word} module")
    quiz = make_item(course, "quiz", key=f"{word}-quiz", title=f"{word} quiz", parent=module)
    act(enrollment, "ATTEMPT_QUIZ", item=quiz, score=0.5)
    PastChange.objects.create(course=course, occurred_at=NOW)
    Settling.objects.create(course=course, number=1)
    Feed.objects.create(course=course, measured_at=NOW)
    FeedHold.objects.create(course=course, since=NOW, noted_at=NOW, ended_at=NOW)
    hour: dict[str, Any] = {"events": 1, "with_item": 1, "with_score": 1, "delay_seconds": 0}
    FeedHour.objects.create(course=course, hour_at=NOW, verb="LOGIN", last_at=NOW, **hour)
    _segments(word, course, enrollment)
    return course


def _segments(word: str, course: Course, enrollment: Any) -> None:
    playbook = make_playbook(course, key=f"{word}-playbook", name=f"{word} playbook")
    segment = make_segment(playbook, ACTED_TODAY, name=f"{word} segment")
    Norms.objects.create(course=course, day=NOW.date(), figures={}, computed_at=NOW)
    EvaluationDay.objects.create(course=course, day=NOW.date(), last_at=NOW)
    Freeze.objects.create(segment=segment, version=1, error=f"{word} error", frozen_at=NOW)
    Membership.objects.create(segment=segment, enrollment=enrollment, entered_at=NOW, version=1)
    Override.objects.create(segment=segment, enrollment=enrollment, kind="added", created_at=NOW)
    transition = make_transition(enrollment, segment)
    surge = {"segment": segment, "course": course, "day": NOW.date()}
    Surge.objects.create(**surge, entered=30, of=40)
    WaitingEntry.objects.create(
        **surge, transition=transition, enrollment=enrollment, entered_at=NOW
    )
    _messages(word, course, enrollment, segment)


def _messages(word: str, course: Course, enrollment: Any, segment: Any) -> None:
    cadence = make_cadence(segment=segment, name=f"{word} cadence")
    run = make_run(enrollment, cadence)
    _sent(word, course, make_delivery(run=run))
    _archived(word, run, segment)
    _limits(word, course)
    url = f"https://{word}.example/next"
    ContentMapping.objects.create(course=course, segment=segment, title=f"{word} next", url=url)
    experiment = make_experiment(segment, name=f"{word} experiment", start=False)
    assignment = assign(enrollment, arm_of(experiment, "control"))
    _drawn(word, assignment)
    DeliveryOutcome.objects.create(
        assignment=assignment, delivery_key=uuid4(), outcome="ghost", at=NOW
    )
    said = {"state": "out", "changed_at": NOW, "source": "page"}
    Consent.objects.create(learner=enrollment.learner, category=cadence.category, **said)
    Pause.objects.create(cadence=cadence, began_at=NOW, began_by=f"{word} boss")
    Nudge.objects.create(segment=segment, name=f"{word} nudge", saved_at=NOW)
    LearnerPause.objects.create(learner=enrollment.learner, began_at=NOW, began_by=f"{word} boss")


def _drawn(word: str, assignment: Assignment) -> None:
    experiment, section = assignment.experiment, assignment.enrollment.section
    entry = LedgerEntry.objects.create(
        experiment=experiment, position=0, kind="draws", content=word, sha256=word, at=NOW
    )
    kept = Snapshot(experiment.key, NOW.isoformat(), (), CSV_COLUMNS, (), {}, {}, {})
    LedgerEntry.objects.create(
        experiment=experiment, position=1, kind="snapshot", content=kept.content(),
        previous_sha256=word, sha256=f"{word} kept", at=NOW,
    )  # fmt: skip
    SharePeriod.objects.create(
        experiment=experiment, position=0, at=NOW, shares={word: 1}, counts={}, entry=entry
    )
    stratum = Stratum.objects.create(experiment=experiment, key=f"{word} stratum")
    SectionDraw.objects.create(
        experiment=experiment,
        section=section,
        unit=f"{word}-section",
        arm=assignment.arm,
        stratum=stratum,
        position=0,
        bucket=0,
        size=1,
        at=NOW,
        entry=entry,
    )


def _sent(word: str, course: Course, delivery: Delivery) -> None:
    enrollment = delivery.enrollment
    InstructorTask.objects.create(
        delivery=delivery,
        enrollment=enrollment,
        title=f"{word} task",
        text=f"Call {word}.",
        opened_at=NOW,
        due_at=NOW,
    )
    InAppMessage.objects.create(
        delivery=delivery,
        learner=enrollment.learner,
        enrollment=enrollment,
        title=f"{word} message",
        html=word,
        text=word,
        sent_at=NOW,
        expires_at=NOW,
    )
    page = SentPage.objects.create(digest=word, pieces=[word])
    SentMessage.objects.create(delivery=delivery, subject=f"{word} subject", page=page, locale="en")
    CourseSite.objects.create(course=course, name=f"{word} site", secret=f"{word}-secret")
    WebhookEndpoint.objects.create(course=course, url=f"https://{word}.example", secret=word)
    Receipt.objects.create(delivery=delivery, delivered_at=NOW)
    TrackingEvent.objects.create(
        digest=word,
        provider="postmark",
        delivery=delivery,
        kind="bounced",
        happened_at=NOW,
        received_at=NOW,
        recipient=f"{word}@example.org",
        detail=f"{word} is unknown",
    )


def _archived(word: str, run: Any, segment: Any) -> None:
    months = (ARCHIVED_DELIVERIES, ARCHIVED_TRACES, ARCHIVED_TRANSITIONS)
    make_months(months, [month_of(NOW)])
    enrollment, number = run.enrollment, run.pk
    about = {"enrollment": enrollment, "finished_at": NOW}
    row = ArchivedDelivery.objects.create(
        **about,
        id=number,
        key=uuid4(),
        run=run,
        step=run.cadence.steps.get(),
        learner=enrollment.learner,
        category=run.cadence.category,
        channel="email",
        priority=1,
        ghost=False,
        state="handed_off",
        planned_at=NOW,
        send_at=NOW,
        expires_at=NOW,
        claimed_at=NOW,
        attempts=1,
        doubted=False,
    )
    ArchivedTrace.objects.create(
        **about, delivery=row, address=f"{word}@example.org", sent={"text": word}
    )
    ArchivedTransition.objects.create(
        id=number,
        enrollment=enrollment,
        segment=segment,
        kind="enter",
        cause="event",
        starts=True,
        version=1,
        occurred_at=NOW,
        processed_at=NOW,
    )


def _limits(word: str, course: Course) -> None:
    cap = {"scope": "everything", "limit": 1, "window": "rolling_hours", "length": 24}
    FrequencyCap.objects.create(name=f"{word} cap", course=course, **cap)
    Holdout.objects.create(name=f"{word} holdout", course=course, starts_at=NOW)
    QuietHours.objects.create(course=course, begins="21:00", ends="08:00")


def populate_site(word: str) -> None:
    """Make rows about a person that belong to no course."""
    FeedCursor.objects.get_or_create()
    ingest([{"verb": "LOGIN", "course": f"{word}-gone", "learner": word}], now=NOW)
    address = f"{word.lower()}@example.org"
    Suppression.objects.create(address=address, reason="asked", created_at=NOW)
    MailboxMessage.objects.create(
        recipient=f"{word}@example.org", subject=f"{word} subject", received_at=NOW
    )
