"""Saving courses, sections, items, learners and enrollments, and the effects of changes."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib import admin

from activity.models import Due, DueCause, Enrollment, Learner
from activity.operations import (
    RosterError,
    ingest,
    save_course,
    save_edited,
    save_enrollment,
    save_item,
    save_learner,
    save_section,
)
from tests.factories import NOW, make_course, make_enrollment, make_event, make_item, make_learner

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=2)
COURSE = {"key": "c", "title": "C", "starts_on": "2025-09-01", "ends_on": "2025-10-26"}


def pulled():
    """Return the enrollments that are due now, with the cause."""
    return dict(Due.objects.filter(due_at=NOW).values_list("enrollment_id", "cause"))


def test_a_course_is_created_and_then_changed_field_by_field():
    course = save_course({**COURSE, "pass_mark": 0.4, "time_zone": "Europe/Berlin"}, now=NOW)
    assert (course.starts_on, course.pass_mark) == (date(2025, 9, 1), Decimal("0.4"))
    again = save_course({"key": "c", "title": "Course C"}, now=NOW)
    assert again.pk == course.pk
    again.refresh_from_db()
    assert (again.title, again.time_zone) == ("Course C", "Europe/Berlin")
    assert again.live_since is None


def test_an_item_finds_its_module_and_a_learner_its_course():
    save_course(COURSE, now=NOW)
    module = save_item({"course": "c", "key": "m", "kind": "module"}, now=NOW)
    quiz = save_item({"course": "c", "key": "q", "kind": "quiz", "parent": "m"}, now=NOW)
    section = save_section(
        {"course": "c", "key": "s", "teacher": "T", "teacher_email": "t@example.org"}, now=NOW
    )
    learner = save_learner({"external_id": "ana", "traits": {"level": 2}}, now=NOW)
    enrollment = save_enrollment({"course": "c", "learner": "ana", "section": "s"}, now=NOW)
    assert quiz.parent == module
    assert (enrollment.learner, enrollment.section) == (learner, section)


def test_a_new_enrollment_is_due_at_once_and_begins_now():
    enrollment = make_enrollment()
    learner = make_learner()
    values = {"course": enrollment.course.key, "learner": learner.external_id}
    fresh = save_enrollment(values, now=LATER)
    assert fresh.enrolled_at == LATER
    due = Due.objects.get(pk=fresh.pk)
    assert (due.due_at, due.cause, due.rules_revision) == (LATER, DueCause.TIME, None)
    again = save_enrollment(values, now=NOW)
    again.refresh_from_db()
    assert again.enrolled_at == LATER


FAULTS = {
    "no key": (save_course, {"title": "x"}, "The field key is missing."),
    "no days": (save_course, {"key": "x"}, "The field starts_on is missing."),
    "unknown field": (save_course, {**COURSE, "colour": 1}, "The field 'colour' is unknown."),
    "backwards": (
        save_course,
        {**COURSE, "ends_on": "2025-08-01"},
        "The course ends before it starts.",
    ),
    "zone": (
        save_course,
        {**COURSE, "time_zone": "Mars/Base"},
        "time_zone: 'Mars/Base' is not a time zone: write it like Europe/London.",
    ),
    "pass mark": (
        save_course,
        {**COURSE, "pass_mark": 1.5},
        "The pass mark must lie between 0 and 1.",
    ),
    "pass mark text": (
        save_course,
        {**COURSE, "pass_mark": "half"},
        "pass_mark must be a number, but is text.",
    ),
    "day": (
        save_course,
        {**COURSE, "starts_on": "1 September"},
        "starts_on: '1 September' is not a date: write it like 2025-10-26.",
    ),
    "instant": (
        save_course,
        {**COURSE, "live_since": "2025-09-01T00:00:00"},
        "live_since: '2025-09-01T00:00:00' has no offset",
    ),
    "unknown course": (save_item, {"course": "x", "key": "i"}, "Course 'x' is unknown."),
    "kind": (
        save_item,
        {"course": "there", "key": "i", "kind": "game"},
        "kind: Value 'game' is not a valid choice.",
    ),
    "no kind": (save_item, {"course": "there", "key": "i"}, "The field kind is missing."),
    "unknown module": (
        save_item,
        {"course": "there", "key": "i", "kind": "quiz", "parent": "x"},
        "Item 'x' is unknown.",
    ),
    "parent is no module": (
        save_item,
        {"course": "there", "key": "i", "kind": "quiz", "parent": "page"},
        "The parent 'page' is not a module: its kind is page.",
    ),
    "module in a module": (
        save_item,
        {"course": "there", "key": "i", "kind": "module", "parent": "module"},
        "A module has no parent.",
    ),
    "position": (
        save_item,
        {"course": "there", "key": "i", "kind": "quiz", "position": True},
        "position must be a whole number, but is true or false.",
    ),
    "number as id": (
        save_learner,
        {"external_id": 7.5},
        "external_id must be text, but is a number.",
    ),
    "NUL": (save_learner, {"external_id": "a\0"}, "external_id contains a line break or another"),
    "traits": (save_learner, {"external_id": "a", "traits": []}, "traits: Must be an object"),
    "NUL in traits": (
        save_learner,
        {"external_id": "a", "traits": {"x": "\0"}},
        "traits: Contains something that cannot be stored",
    ),
    "unknown learner": (
        save_enrollment,
        {"course": "there", "learner": "nobody"},
        "Learner 'nobody' is unknown.",
    ),
    "unknown section": (
        save_enrollment,
        {"course": "there", "learner": "ana", "section": "x"},
        "Section 'x' is unknown.",
    ),
}


@pytest.mark.parametrize(("save", "values", "sentence"), FAULTS.values(), ids=FAULTS)
def test_fault_is_refused_with_a_sentence(save, values, sentence):
    course = make_course(key="there")
    make_item(course, "page", key="page")
    make_item(course, "module", key="module")
    make_learner(external_id="ana")
    with pytest.raises(RosterError) as caught:
        save(values, now=NOW)
    assert str(caught.value).startswith(sentence)


def test_change_with_effect_on_signals_pulls_affected_enrollments_as_an_edit():
    course = make_course()
    one, other = make_enrollment(course, due_at=LATER), make_enrollment(course, due_at=None)
    stranger = make_enrollment(due_at=LATER)
    save_item({"course": course.key, "key": "q", "kind": "quiz", "due_on": "2025-09-20"}, now=NOW)
    assert pulled() == {one.pk: DueCause.EDIT, other.pk: DueCause.EDIT}
    assert Due.objects.get(pk=stranger.pk).due_at == LATER


@pytest.mark.parametrize(
    ("change", "concerns"),
    [
        (lambda e: save_course({"key": e.course.key, "ends_on": "2025-11-30"}, now=NOW), True),
        (lambda e: save_course({"key": e.course.key, "title": "New"}, now=NOW), False),
        (
            lambda e: save_learner(
                {"external_id": e.learner.external_id, "traits": {"a": 1}}, now=NOW
            ),
            True,
        ),
        (
            lambda e: save_learner({"external_id": e.learner.external_id, "name": "N"}, now=NOW),
            False,
        ),
        (
            lambda e: save_enrollment(
                {
                    "course": e.course.key,
                    "learner": e.learner.external_id,
                    "withdrew_at": "2025-09-15T00:00:00+01:00",
                },
                now=NOW,
            ),
            True,
        ),
        (
            lambda e: save_enrollment(
                {"course": e.course.key, "learner": e.learner.external_id}, now=NOW
            ),
            False,
        ),
    ],
    ids=["course days", "course title", "traits", "name", "withdrawal", "nothing"],
)
def test_change_without_effect_on_signals_does_not_pull(change, concerns):
    enrollment = make_enrollment(due_at=LATER)
    change(enrollment)
    assert pulled() == ({enrollment.pk: DueCause.EDIT} if concerns else {})


def test_a_form_that_was_open_meanwhile_does_not_set_the_last_event_back():
    enrollment = make_enrollment()
    opened = Enrollment.objects.get(pk=enrollment.pk)
    ingest([make_event(enrollment)], now=NOW)
    opened.withdrew_at = datetime(2025, 9, 15, tzinfo=UTC)
    save_edited(opened, now=NOW)
    enrollment.refresh_from_db()
    assert enrollment.last_event_at == NOW - timedelta(hours=1)
    assert enrollment.withdrew_at == datetime(2025, 9, 15, tzinfo=UTC)


def test_a_form_writes_only_what_it_changed():
    learner = make_learner(name="Old", traits={"level": True})
    opened = Learner.objects.get(pk=learner.pk)
    names = {"external_id": learner.external_id}
    save_learner({**names, "name": "New", "traits": {"level": 1}}, now=NOW)
    opened.time_zone = "Europe/Berlin"
    save_edited(opened, columns=["time_zone"], now=NOW)
    learner.refresh_from_db()
    assert (learner.name, learner.time_zone) == ("New", "Europe/Berlin")
    assert learner.traits["level"] is not True


def test_the_admin_writes_only_what_its_form_changed(rf):
    learner = make_learner(name="Old")
    pages = admin.site.get_model_admin(Learner)
    request = rf.get("/")
    opened = Learner.objects.get(pk=learner.pk)
    given = {"external_id": learner.external_id, "email": learner.email, "name": "Old"}
    values = {**given, "locale": "de", "traits": "{}"}
    form = pages.get_form(request, opened)(values, instance=opened)
    assert form.is_valid(), form.errors
    save_learner({"external_id": learner.external_id, "name": "New"}, now=NOW)
    pages.save_model(request, form.save(commit=False), form, change=True)
    learner.refresh_from_db()
    assert (learner.name, learner.locale) == ("New", "de")


def test_a_form_may_create_an_enrollment():
    learner, course = make_learner(), make_course()
    save_edited(Enrollment(learner=learner, course=course, enrolled_at=NOW), now=NOW)
    assert Due.objects.get().due_at == NOW


@pytest.mark.parametrize(
    "address",
    ["cells", "/cells", "https://", "javascript:alert(1)", "https://a b.example/", "https://[x"],
)
def test_item_with_an_unusable_web_address_is_refused(address: str) -> None:
    course = make_course()

    with pytest.raises(RosterError, match="url: Write a complete web address"):
        save_item({"course": course.key, "key": "i", "kind": "page", "url": address}, now=NOW)


def test_item_may_be_on_an_intranet() -> None:
    course = make_course()

    item = save_item(
        {"course": course.key, "key": "i", "kind": "page", "url": "http://moodle/cells"}, now=NOW
    )
    assert item.url == "http://moodle/cells"


def test_learner_line_may_hold_a_given_name() -> None:
    save_learner({"external_id": "s-1", "name": "Chen Wei", "given_name": "Wei"}, now=NOW)

    assert Learner.objects.get(external_id="s-1").given_name == "Wei"
