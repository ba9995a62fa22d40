"""The whole path on a small class: event, segment, arm, message, report. Read this one first."""

from collections import Counter
from datetime import timedelta
from email.utils import parseaddr
from uuid import uuid4

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection

from activity.operations import ingest
from experiments import queries as experiment_queries
from experiments.models import Arm, Experiment
from interventions.models import Category, Delivery
from interventions.operations import (
    CadenceFields,
    StepFields,
    save_cadence,
    save_template,
    start_experiment,
    unsubscribe,
)
from interventions.render.links import LinkOwner
from interventions.stages.dispatch import dispatch_due
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from interventions.stages.recover import recover
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment, make_event, make_item
from tests.guards.stages import ROWS
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db

LEARNERS = 40
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def memory_mail(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def make_experiment(segment):
    """Return a running experiment with two equal arms and a cadence for one of them."""
    experiment = Experiment.objects.create(key="nudge", name="Nudge", segment=segment, seed="seed")
    control, nudge = (
        Arm.objects.create(
            experiment=experiment,
            key=key,
            weight="0.5",
            position=position,
            is_control=key == "control",
        )
        for position, key in enumerate(("control", "nudge"))
    )
    category = Category.objects.create(key="nudges", name="Nudges")
    template = save_template(
        "try-it",
        name="Try it",
        category=category,
        texts={
            "en": (
                "Try the quiz",
                "<p>Hello {{ learner.first_name | default: 'there' }}, try the quiz.</p>",
            )
        },
    )
    fields = CadenceFields(
        name="Try it", category=category, segment=segment, arm=nudge, ghost_for=control
    )
    save_cadence("try-it", fields=fields, steps=[StepFields(template)])
    return start_experiment(experiment.pk, now=NOW)


def run_stages(now):
    """Run each stage once, as beat would."""
    evaluate_due(now=now)
    react_due(now=now)
    plan_due(now=now)
    dispatch_due(clock=lambda: now)


def arms_of(enrollments):
    """Return each enrollment's arm by its id."""
    return {
        enrollment.pk: experiment_queries.assignments_of([enrollment.pk])[0].arm.key
        for enrollment in enrollments
    }


@pytest.fixture
def class_of_learners():
    """Return a live course's quiz and its learners, before their first event."""
    course = make_course(live_since=NOW - timedelta(days=20))
    quiz = make_item(course, "quiz")
    enrollments = [make_enrollment(course) for _ in range(LEARNERS)]
    make_experiment(make_segment(make_playbook(course), ACTED_TODAY))
    run_stages(NOW)
    assert mail.outbox == []
    return quiz, enrollments


def everybody_acts(enrollments, at):
    ingest([make_event(one, "PLAY_VIDEO", occurred_at=at) for one in enrollments], now=at)


def test_event_leads_to_segment_arm_message_and_report(class_of_learners):
    quiz, enrollments = class_of_learners

    everybody_acts(enrollments, NOW + HOUR)
    run_stages(NOW + 2 * HOUR)

    arms = arms_of(enrollments)
    treated = [one for one in enrollments if arms[one.pk] == "nudge"]
    assert 0 < len(treated) < LEARNERS
    mailed = [parseaddr(message.to[0])[1] for message in mail.outbox]
    assert sorted(mailed) == sorted(one.learner.email for one in treated)
    assert Delivery.objects.filter(state="ghost").count() == LEARNERS - len(treated)

    # Treated learners attempt the quiz the next day, and control learners two weeks later.
    for one in enrollments:
        days = 1 if arms[one.pk] == "nudge" else 14
        at = NOW + timedelta(days=days)
        ingest([make_event(one, "ATTEMPT_QUIZ", item=quiz, occurred_at=at)], now=at)
    experiment = Experiment.objects.get()
    report = experiment_queries.report(experiment, as_of=NOW + timedelta(days=15))

    (row,) = [row for row in report.rows if row.key == "quiz_attempted_7d"]
    assert (row.control_level, row.arm_level, row.lift) == (0.0, 1.0, 1.0)


def rows_written():
    """Return the number of rows that this transaction has written, by model."""
    models = {model._meta.db_table: model.__name__ for model in apps.get_models()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"
        )
        return Counter({models[table]: rows for table, rows in cursor if table in models})


def test_each_stage_writes_only_the_tables_named_in_the_architecture(class_of_learners):
    quiz, enrollments = class_of_learners
    calls = {
        "evaluate": lambda now: evaluate_due(now=now),
        "react": lambda now: react_due(now=now),
        "plan": lambda now: plan_due(now=now),
        "dispatch": lambda now: dispatch_due(clock=lambda: now),
        "recover": lambda now: recover(now=now),
    }
    # One event is ahead of the clock, so that recover stores it.
    early = make_event(enrollments[0], "ATTEMPT_QUIZ", item=quiz, occurred_at=NOW + HOUR)
    ingest([early], now=NOW + HOUR - timedelta(minutes=3))
    everybody_acts(enrollments, NOW + HOUR)

    for row in ROWS:
        before = rows_written()
        calls[row.stage](NOW + 2 * HOUR)
        written = (rows_written() - before).keys()
        assert written, row.stage
        assert written <= set(row.tables), row.stage


def test_stages_that_run_again_do_nothing_more(class_of_learners):
    _, enrollments = class_of_learners
    everybody_acts(enrollments, NOW + HOUR)
    run_stages(NOW + 2 * HOUR)
    sent = len(mail.outbox)

    for minutes in range(1, 10):
        run_stages(NOW + 2 * HOUR + timedelta(minutes=minutes))

    assert len(mail.outbox) == sent > 0


def test_learner_who_unsubscribed_is_not_mailed(class_of_learners):
    _, enrollments = class_of_learners
    for one in enrollments:
        unsubscribe(LinkOwner(one.learner_id, one.pk, uuid4()), source="page", now=NOW)

    everybody_acts(enrollments, NOW + HOUR)
    run_stages(NOW + 2 * HOUR)

    assert mail.outbox == []


def test_course_that_is_not_live_draws_and_mails_nobody(class_of_learners):
    _, enrollments = class_of_learners
    course = enrollments[0].course
    course.live_since = None
    course.save()

    everybody_acts(enrollments, NOW + HOUR)
    run_stages(NOW + 2 * HOUR)

    assert mail.outbox == []
    assert all(experiment_queries.assignments_of([one.pk]) == [] for one in enrollments)
