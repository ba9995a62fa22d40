"""No page and no command shows a user rows of a course that the user may not see."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from activity import access
from activity.access import for_user
from activity.models import (
    SHARED,
    Course,
    Feed,
    FeedCursor,
    FeedHour,
    PastChange,
    Section,
    Settling,
)
from activity.operations import ingest
from common.archive import make_months, month_of
from experiments.models import Assignment, DeliveryOutcome, LedgerEntry, SectionDraw, Stratum
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
from tests.guards.code import PACKAGES
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

pytestmark = pytest.mark.django_db

OURS = [model for model in apps.get_models() if model._meta.app_label in PACKAGES]
# Words that occur in every text of the other course.
FOREIGN = "Zebra"


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


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Course:
    """Return the course that users may see. There is also another course."""
    course = populate("Ant")
    populate(FOREIGN)
    populate_site(FOREIGN)
    mine = Course.objects.filter(pk=course.pk)
    monkeypatch.setattr(access, "courses_of", lambda user: mine)
    return course


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def foreign_rows() -> Iterator[Model]:
    """Yield every row that belongs to the other course or only to the site."""
    for model in OURS:
        seen = for_user(model._default_manager.all(), get_user_model()()).values("pk")
        yield from model._default_manager.exclude(pk__in=seen)


def pages_of(row: Model, *actions: str) -> list[str]:
    prefix = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    return [reverse(f"{prefix}_{action}", args=(row.pk,)) for action in actions]


def lists() -> dict[type[Model], str]:
    """Return the address of every admin list of our models."""
    return {
        model: reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
        if model in OURS
    }


def shown(client: Client, address: str) -> str:
    """Return the text of a page, without parts that come from the address."""
    return re.sub(r'(?:value|href|action)="[^"]*"', "", client.get(address, follow=True).text)


def test_other_course_has_rows_of_nearly_every_model(own: Course) -> None:
    models = {type(row) for row in foreign_rows()}
    missing = [each for each in OURS if each not in models and each.course_scope != SHARED]

    assert {each._meta.label for each in missing} == {
        "activity.PendingNo",
        "config.StageRun",
        "interventions.ChannelPace",
    }


@pytest.mark.slow
def test_no_list_and_no_form_shows_the_other_course(own: Course, staff: Client) -> None:
    for model, address in lists().items():
        assert FOREIGN not in shown(staff, address), model
        assert FOREIGN not in shown(staff, f"{address}add/"), model


@pytest.mark.slow
def test_no_filter_names_a_row_of_the_other_course(own: Course, staff: Client) -> None:
    ids = {type(row): row.pk for row in foreign_rows()}
    for model, address in lists().items():
        for field in model._meta.get_fields():
            target = field.related_model if field.concrete else None
            if target in ids:
                query = f"?{field.name}__id__exact={ids[target]}"
                assert FOREIGN not in shown(staff, address + query), (model, query)


@pytest.mark.slow
def test_page_of_own_rows_names_nothing_of_the_other_course(own: Course, staff: Client) -> None:
    for model in lists():
        for row in for_user(model._default_manager.all(), get_user_model()()):
            for address in pages_of(row, "change", "history"):
                assert FOREIGN not in shown(staff, address), address


@pytest.mark.slow
def test_page_of_a_foreign_row_is_not_found(own: Course, staff: Client) -> None:
    # Django repeats the key of a row that is not there. That of a page around messages is a text.
    rows = [row for row in foreign_rows() if type(row) in lists() and row.pk != FOREIGN]

    assert len(rows) > 25
    for row in rows:
        for address in pages_of(row, "change", "delete", "history"):
            answer = staff.get(address)
            assert answer.status_code in (302, 403, 404), address
            assert FOREIGN not in answer.text, address


def test_choices_found_by_typing_are_of_the_own_course(own: Course, staff: Client) -> None:
    asked = 0
    for model, page in admin.site._registry.items():
        for name in page.autocomplete_fields:
            query = {"app_label": model._meta.app_label, "model_name": model._meta.model_name}
            answer = staff.get(reverse("admin:autocomplete"), {**query, "field_name": name})
            assert FOREIGN not in answer.text, (model, name)
            asked += 1

    assert asked > 10


def test_pages_of_our_own_name_nothing_of_the_other_course(own: Course, staff: Client) -> None:
    segments = {one["name"]: one["id"] for one in _all("segmentation", "segment")}
    for name in ("preview", "surges"):
        place = f"admin:segmentation_segment_{name}"
        assert FOREIGN not in shown(staff, reverse(place, args=(segments["Ant segment"],)))
        assert staff.get(reverse(place, args=(segments[f"{FOREIGN} segment"],))).status_code == 404
    experiments = {one["name"]: one["key"] for one in _all("experiments", "experiment")}
    for name in ("report", "report-csv"):
        address = reverse(f"experiments:{name}", args=(experiments[f"{FOREIGN} experiment"],))
        assert staff.get(address).status_code == 404
    assert FOREIGN not in shown(staff, reverse("experiments:report-list"))
    assert FOREIGN not in shown(staff, "/mailbox/")
    message = MailboxMessage.objects.get()
    assert staff.get(f"/mailbox/{message.pk}/").status_code == 404


def _all(app: str, model: str) -> list[dict[str, Any]]:
    return list(apps.get_model(app, model).objects.values())


def test_saving_a_playbook_keeps_the_courses_that_its_form_did_not_offer(
    own: Course, staff: Client
) -> None:
    playbook = own.playbooks.get()
    other = Course.objects.exclude(pk=own.pk).get()
    playbook.courses.add(other)
    form = {"name": "Ant", "key": playbook.key, "mode": playbook.mode, "kept_for": []}
    inline = {"segments-TOTAL_FORMS": 0, "segments-INITIAL_FORMS": 0}

    answer = staff.post(pages_of(playbook, "change")[0], form | inline)

    assert answer.status_code == 302
    assert list(playbook.courses.all()) == [other]


@pytest.mark.parametrize("command", ["preview_rule", "export_signals"])
def test_commands_that_print_people_know_the_own_course_only(
    command: str, own: Course, tmp_path: Any
) -> None:
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps(ACTED_TODAY))
    arguments = {
        "preview_rule": (str(rule),),
        "export_signals": ("--out", str(tmp_path / "signals.csv")),
    }[command]
    as_of = (NOW + timedelta(hours=1)).isoformat()

    call_command(command, *arguments, "--course", own.key, "--as-of", as_of, stdout=StringIO())
    with pytest.raises(CommandError, match="no course"):
        call_command(command, *arguments, "--course", f"{FOREIGN}-course", "--as-of", as_of)
