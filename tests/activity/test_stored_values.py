"""Stored values can be read back: dates in range, keys in one encoding, traits as JSON."""

import importlib
import json
from datetime import date
from itertools import product

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from activity.models import Course, Enrollment, Event, Learner, RejectedEvent
from activity.operations import ingest
from activity.operations.jsonl import import_jsonl
from tests.factories import (
    NOW,
    act,
    make_course,
    make_enrollment,
    make_event,
    make_item,
    make_learner,
)

pytestmark = pytest.mark.django_db

COMPOSED, DECOMPOSED = "Jos\u00e9", "Jose\u0301"
NO_DATES = ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-05:00", "1899-12-31T23:59:59Z"]
LEAVE_OUT = "If there is no date, give none."
ROSTER = [
    {"type": "course", "key": "c", "starts_on": "2025-09-01", "ends_on": "2025-10-26"},
    {"type": "learner", "external_id": "ana"},
    {"type": "enrollment", "course": "c", "learner": "ana"},
]


def faults_of(*rows):
    """Return the sentences about the refused lines."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return [fault.message for fault in import_jsonl(lines, now=NOW).faults]


@pytest.fixture
def staff(client, db):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.mark.slow
def test_placeholder_date_of_an_export_is_refused_and_every_list_still_answers(staff):
    assert faults_of(*ROSTER) == []
    for field, text in product(["enrolled_at", "withdrew_at", "completed_at"], NO_DATES):
        said = faults_of({**ROSTER[2], field: text})
        assert said == [f"{field}: '{text}' is outside the years 1900 to 2199. {LEAVE_OUT}"]
    # A date that was stored after all would fail these pages.
    for model in (Course, Learner, Enrollment):
        name = f"admin:activity_{model._meta.model_name}"
        assert staff.get(reverse(f"{name}_changelist")).status_code == 200
        row = model.objects.get()
        assert staff.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1899-12-31", "2200-01-01"])
@pytest.mark.parametrize(
    "line",
    [{**ROSTER[0], "key": "d"}, {"type": "item", "course": "c", "key": "i", "kind": "quiz"}],
    ids=["course", "item"],
)
def test_placeholder_day_is_refused_too(line, text):
    field = "starts_on" if line["type"] == "course" else "due_on"
    (said,) = faults_of(ROSTER[0], {**line, field: text})
    assert said.startswith(f"{field}: '{text}' is outside the years 1900 to 2199.")


FORMS = {
    "course": {"ends_on": "9999-12-31"},
    "course goes live": {"live_since_0": "9999-12-31", "live_since_1": "23:59:59"},
    "enrollment": {"withdrew_at_0": "0001-01-01", "withdrew_at_1": "00:00:00"},
    "item": {"due_on": "9999-12-31"},
}


@pytest.mark.parametrize(("name", "change"), FORMS.items(), ids=FORMS)
@pytest.mark.sampled(2)
def test_form_with_a_date_out_of_range_says_so(staff, name, change):
    course = make_course()
    rows = {"enrollment": make_enrollment(course), "item": make_item(course)}
    row = rows.get(name, course)
    page = reverse(f"admin:activity_{row._meta.model_name}_change", args=[row.pk])
    form = staff.get(page).context["adminform"].form
    data = {each: form[each].value() for each in form.fields}
    data = {each: value for each, value in data.items() if value is not None}
    data |= {"enrolled_at_0": "2025-09-01", "enrolled_at_1": "00:00:00", "traits": "{}"}
    answer = staff.post(page, data | change)
    assert answer.status_code == 200
    assert "the years 1900 to 2199" in str(answer.context["adminform"].form.errors)


def test_instants_are_kept_in_utc():
    faults_of(*ROSTER, {**ROSTER[2], "enrolled_at": "2025-09-01T00:30:00+02:00"})
    assert str(Enrollment.objects.get().enrolled_at) == "2025-08-31 22:30:00+00:00"


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("course", "live_since"),
        ("course", "clock_stopped_at"),
        ("course", "ends_on"),
        ("item", "due_on"),
        ("enrollment", "enrolled_at"),
        ("enrollment", "withdrew_at"),
        ("enrollment", "completed_at"),
        ("enrollment", "last_event_at"),
        ("event", "occurred_at"),
        ("event", "received_at"),
        ("dailyactivity", "last_act_at"),
        ("progress", "last_touched_at"),
    ],
)
def test_database_refuses_a_date_that_python_cannot_read(table, column):
    enrollment = make_enrollment()
    act(enrollment, "VIEW_ITEM", item=make_item(enrollment.course))
    with pytest.raises(IntegrityError, match="in_range"), connection.cursor() as cursor:
        cursor.execute(f"UPDATE activity_{table} SET {column} = '9999-12-31 23:59'")


def test_key_is_the_same_for_both_encodings_of_an_accent():
    course = {**ROSTER[0], "key": COMPOSED}
    in_course = {"course": DECOMPOSED, "key": COMPOSED}
    event = {"type": "event", "course": COMPOSED, "learner": DECOMPOSED, "item": DECOMPOSED}
    event |= {"verb": "VIEW_ITEM", "occurred_at": "2025-09-02T08:00:00z", "source": "lms"}
    assert (
        faults_of(
            course,
            {**course, "key": DECOMPOSED},
            {"type": "section", **in_course},
            {"type": "item", **in_course, "kind": "module"},
            {"type": "item", "course": COMPOSED, "key": "i", "kind": "page", "parent": DECOMPOSED},
            {"type": "learner", "external_id": COMPOSED},
            {"type": "learner", "external_id": DECOMPOSED, "name": "Same"},
            {
                "type": "enrollment",
                "course": COMPOSED,
                "learner": DECOMPOSED,
                "section": DECOMPOSED,
            },
            {**event, "source_id": COMPOSED},
            {**event, "source_id": DECOMPOSED},
        )
        == []
    )
    assert (Course.objects.count(), Learner.objects.get().name) == (1, "Same")
    assert Event.objects.get().source_id == COMPOSED
    assert Learner.objects.filter(external_id=DECOMPOSED).exists()


def test_json_number_is_read_as_its_digits():
    assert faults_of(ROSTER[0], {**ROSTER[1], "external_id": 42}) == []
    assert faults_of({**ROSTER[2], "learner": "42"}) == []
    event = make_event(Enrollment.objects.get(), source_id=7) | {"learner": 42}
    assert ingest([event], now=NOW).rejected == []
    assert (Learner.objects.get().external_id, Event.objects.get().source_id) == ("42", "7")


def test_lower_case_z_means_utc():
    assert faults_of(*ROSTER, {**ROSTER[2], "enrolled_at": "2025-09-10T08:00:00z"}) == []
    assert str(Enrollment.objects.get().enrolled_at) == "2025-09-10 08:00:00+00:00"


HALF = '"\\ud800"'


@pytest.mark.parametrize(
    "line",
    [
        f'{{"type": "enrollment", "course": "c", "learner": "ana", "section": {HALF}}}',
        f'{{"type": "item", "course": "c", "key": "i", "kind": "page", "parent": {HALF}}}',
        f'{{"type": "learner", "external_id": "b", {HALF}: 1}}',
        f'{{"type": {HALF}}}',
        f'{{"type": "learner", "external_id": {HALF}}}',
        f'{{"type": "event", {HALF}: 1}}',
        f'{{"type": "event", "verb": {HALF}}}',
        '{"type": "enrollment", "course": "c", "learner": "ana", "section": ["s"]}',
        '{"type": "item", "course": "c", "key": "i", "kind": "page", "parent": {"a": 1}}',
    ],
)
def test_half_a_character_anywhere_is_a_listed_fault(line):
    (said,) = faults_of(*ROSTER, line.encode())
    assert said.encode()
    json.dumps(said, ensure_ascii=False).encode()


TRAITS = ["[]", "[1]", '"text"', "7", '{"a": NaN}', '{"a": "\\u0000"}', '{"a": "\\ud800"}']
TRAITS += ['{"a": ' + "[" * 60 + "]" * 60 + "}", '{"a": ' + "9" * 40 + "}"]


@pytest.mark.slow
@pytest.mark.parametrize("model", [Learner, Enrollment])
def test_admin_and_importer_refuse_the_same_traits(staff, model):
    enrollment = make_enrollment()
    row = enrollment if model is Enrollment else enrollment.learner
    page = reverse(f"admin:activity_{model._meta.model_name}_change", args=[row.pk])
    form = staff.get(page).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    data = {name: "" if value is None else value for name, value in shown.items()}
    data |= {
        "enrolled_at_0": "2025-09-01",
        "enrolled_at_1": "00:00:00",
        "enrolled_at_2": "UTC",
        "initial-traits": "{}",
    }
    for text in TRAITS:
        answer = staff.post(page, {**data, "traits": text})
        assert answer.status_code == 200, text
        assert answer.context["adminform"].form.errors.keys() == {"traits"}, text
        row.refresh_from_db()
        assert row.traits == {}, text

        line = f'{{"type": "learner", "external_id": "b", "traits": {text}}}'
        assert len(faults_of(line.encode())) == 1, text
        assert not Learner.objects.filter(external_id="b").exists()


def test_emptied_traits_are_an_empty_object(staff):
    learner = make_learner(traits={"a": 1})
    page = reverse("admin:activity_learner_change", args=[learner.pk])
    data = {"external_id": learner.external_id, "name": "", "email": "", "time_zone": ""}
    emptied = {"locale": "", "traits": "", "initial-traits": '{"a": 1}'}
    assert staff.post(page, data | emptied).status_code == 302
    learner.refresh_from_db()
    assert learner.traits == {}
    assert faults_of({"type": "learner", "external_id": "b", "traits": {}}) == []
    assert faults_of({"type": "learner", "external_id": "c", "traits": None}) == []


def test_database_refuses_traits_that_are_not_an_object():
    make_learner()
    with pytest.raises(IntegrityError, match="is_an_object"), connection.cursor() as cursor:
        cursor.execute("UPDATE activity_learner SET traits = '[]'")


def test_count_above_a_million_is_refused_and_the_largest_counts_can_be_summed():
    enrollment = make_enrollment()
    too_many = ingest([make_event(enrollment, count=1_000_001)], now=NOW)
    assert too_many.rejected[0].message == (
        "count is '1000001'; it must be between 1 and 1,000,000."
    )
    act(enrollment, count=1_000_000)
    assert RejectedEvent.objects.count() == 1
    with pytest.raises(IntegrityError, match="event_count_in_range"), transaction.atomic():
        Event.objects.update(count=2_147_483_647)


OLD_BOUNDS = {
    "activity_course": ["course_days_in_range", "course_instants_in_range"],
    "activity_enrollment": ["enrollment_instants_in_range", "enrollment_traits_is_an_object"],
    "activity_learner": ["learner_external_id_is_composed", "learner_traits_is_an_object"],
    "activity_event": ["event_count_in_range", "event_source_id_is_composed"],
}


def execute(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_migration_corrects_old_rows_and_merges_none():
    for table, names in OLD_BOUNDS.items():
        for name in names:
            execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    course = make_course(ends_on=date(2025, 12, 1))
    first, second, third = (make_enrollment(course) for _ in range(3))
    event = act(first, count=5)
    update = "UPDATE activity_learner SET external_id = %s, traits = %s WHERE id = %s"
    execute(update, COMPOSED, "[1]", first.learner_id)
    execute(update, DECOMPOSED, "null", second.learner_id)
    execute("UPDATE activity_event SET count = 2147483647, source_id = %s", DECOMPOSED)
    execute("UPDATE activity_course SET ends_on = '9999-12-31', live_since = '9999-12-31 23:59'")
    old = (
        "UPDATE activity_enrollment SET enrolled_at = '0001-01-01', withdrew_at = %s WHERE id = %s"
    )
    execute(old, "0001-01-01", first.pk)
    execute(old, "9999-12-31 23:59", second.pk)

    mend = importlib.import_module("activity.migrations.0009_mend_what_is_stored").mend
    mend(None, type("Editor", (), {"connection": connection}))

    ids = dict(Learner.objects.values_list("pk", "external_id"))
    assert ids[first.learner_id] == COMPOSED
    assert ids[second.learner_id] == f"{COMPOSED} ({second.learner_id})"
    assert Learner.objects.get(pk=first.learner_id).traits == {"value": [1]}
    assert Learner.objects.get(pk=second.learner_id).traits == {}
    event.refresh_from_db()
    assert (event.count, event.source_id) == (1_000_000, COMPOSED)
    course.refresh_from_db()
    assert (course.ends_on, course.live_since, course.edits) == (date(2199, 12, 31), None, 1)
    rows = Enrollment.objects.order_by("pk").values_list("withdrew_at", flat=True)
    assert [None if at is None else at.year for at in rows] == [1900, None, None]
    assert Enrollment.objects.get(pk=third.pk).enrolled_at == third.enrolled_at
