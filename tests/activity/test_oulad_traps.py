"""The OULAD importer on a small folder with every special case of the files."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from activity.models import DailyActivity, Enrollment, Event, Item, Progress
from activity.operations import ingest, rebuild_read_models
from tests.activity.oulad_folder import (
    ANA,
    BANKED,
    EARLY_LEAVER,
    MISSING,
    NO_DATES,
    NOW,
    PERSON,
    run_import,
    write_folder,
)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


def enrollment(student, run="AAA_2013J"):
    return Enrollment.objects.get(course__key=run, learner__external_id=f"oulad-{student}")


def events(**where):
    return list(Event.objects.filter(**where).order_by("source", "source_id"))


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.django_db
def test_clicks_of_a_day_are_summed_copies_too(folder):
    run_import(folder)
    event = Event.objects.get(source_id="vle:AAA_2013J:1:101:0")
    assert (event.source, event.verb, event.count) == ("oulad", "VIEW_ITEM", 9)
    assert (event.item.key, event.score, event.passed) == ("site-101", None, None)


@pytest.mark.django_db
def test_a_click_on_a_resource_is_a_download(folder):
    run_import(folder)
    event = Event.objects.get(source_id="vle:AAA_2013J:1:102:-3")
    assert (event.verb, event.count) == ("DOWNLOAD_RESOURCE", 5)


@pytest.mark.django_db
def test_hours_are_local_before_and_after_the_clock_change(folder):
    run_import(folder)
    noons = [event.occurred_at for event in events(item__key="site-101")]
    assert noons == [utc(2013, 10, 5, 11), utc(2013, 11, 4, 12)]
    assert enrollment(ANA).enrolled_at == utc(2013, 9, 4, 23)
    assert enrollment(BANKED).enrolled_at == utc(2013, 11, 14)
    assert enrollment(ANA).completed_at == utc(2014, 4, 23, 22, 59)
    submitted = Event.objects.get(item__key="assessment-11")
    assert submitted.occurred_at == utc(2013, 10, 23, 12)


@pytest.mark.django_db
def test_a_submission_is_an_act_and_completes_its_unit(folder):
    run_import(folder)
    stored = events(enrollment=enrollment(ANA), item__key__in=["assessment-12", "unit-12"])
    assert [(e.verb, e.score, e.passed) for e in stored] == [
        ("ATTEMPT_QUIZ", Decimal("0.4"), True),
        ("COMPLETE_MODULE", None, None),
    ]
    failed = Event.objects.get(item__key="assessment-11")
    assert (failed.verb, failed.score, failed.passed) == (
        "SUBMIT_ASSIGNMENT",
        Decimal("0.39"),
        False,
    )


@pytest.mark.django_db
def test_banked_submission_is_not_an_act(folder):
    run_import(folder)
    assert events(enrollment=enrollment(BANKED)) == []


@pytest.mark.django_db
def test_a_missing_score_stays_unknown(folder):
    run_import(folder)
    attempt, completion = events(enrollment=enrollment(MISSING))
    assert (attempt.verb, attempt.score, attempt.passed) == ("ATTEMPT_QUIZ", None, None)
    assert completion.verb == "COMPLETE_MODULE"


@pytest.mark.django_db
def test_learner_who_withdrew_before_registering_is_stored_and_their_clicks_count(folder):
    run_import(folder)
    left = enrollment(EARLY_LEAVER)
    assert (left.enrolled_at, left.withdrew_at) == (utc(2013, 10, 9, 23), utc(2013, 9, 24, 23))
    assert DailyActivity.objects.get(enrollment=left).acts == 1
    assert left.last_event_at == utc(2013, 11, 24, 12)


@pytest.mark.django_db
def test_missing_dates_mean_the_course_start_and_still_enrolled(folder):
    run_import(folder)
    for student in (NO_DATES, MISSING):
        kept = enrollment(student)
        assert (kept.enrolled_at, kept.withdrew_at) == (utc(2013, 10, 4, 23), None)


@pytest.mark.django_db
def test_traits_are_stored_with_the_percent_sign_and_without_what_is_missing(folder):
    run_import(folder)
    of_the_run = ("age_band", "num_of_prev_attempts", "studied_credits")
    kept = {
        name: value for name, value in PERSON.items() if name not in (*of_the_run, "final_result")
    }
    assert enrollment(ANA).learner.traits == kept | {"imd_band": "10-20%"}
    assert enrollment(ANA).traits == {name: PERSON[name] for name in of_the_run}
    assert "imd_band" not in enrollment(NO_DATES).learner.traits
    assert enrollment(BANKED).learner.traits["imd_band"] == "20-30%"


@pytest.mark.django_db
def test_a_dated_assessment_is_a_module_with_one_item(folder):
    run_import(folder)
    rows = Item.objects.exclude(due_on=None)
    start = date(2013, 10, 5)
    days = {
        item.key: (item.kind, (item.assigned_on - start).days, (item.due_on - start).days)
        for item in rows
    }
    assert days == {
        "unit-11": ("module", 0, 20),
        "unit-12": ("module", 21, 40),
        "unit-13": ("module", 21, 40),
        "assessment-11": ("assignment", 0, 20),
        "assessment-12": ("quiz", 21, 40),
        "assessment-13": ("assignment", 21, 40),
    }
    assert Item.objects.get(key="assessment-13").parent.key == "unit-13"


@pytest.mark.django_db
def test_an_undated_exam_is_an_item_without_module(folder):
    run_import(folder)
    exam = Item.objects.get(key="assessment-14")
    assert (exam.kind, exam.parent, exam.assigned_on, exam.due_on) == (
        "assignment",
        None,
        None,
        None,
    )
    assert [event.verb for event in events(item=exam)] == ["SUBMIT_ASSIGNMENT"]
    assert not Item.objects.filter(key="unit-14").exists()


@pytest.mark.django_db
def test_a_site_belongs_to_the_first_unit_due_in_its_week_or_later(folder):
    run_import(folder)
    sites = Item.objects.filter(key__startswith="site-").select_related("parent")
    found = {site.key: (site.kind, site.parent and site.parent.key) for site in sites}
    assert found == {
        "site-101": ("page", "unit-12"),
        "site-102": ("resource", None),
        "site-103": ("discussion", "unit-11"),
        "site-104": ("other", None),
    }


@pytest.mark.django_db
def test_read_models_equal_those_of_the_same_events_ingested_one_by_one(folder):
    run_import(folder)
    columns = [f.attname for f in Progress._meta.fields if f.name not in ("id", "enrollment")]
    daily = [f.attname for f in DailyActivity._meta.fields if f.name not in ("id", "enrollment")]

    def read():
        return (
            list(Progress.objects.order_by("enrollment", "item").values_list(*columns)),
            list(DailyActivity.objects.order_by("enrollment", "day").values_list(*daily)),
        )

    imported = read()
    sent = [canonical(event) for event in Event.objects.order_by("-id")]
    Event.objects.all().delete()
    rebuild_read_models()
    assert read() == ([], [])
    for event in sent:
        assert ingest([event], now=NOW).stored == 1
    assert read() == imported


def canonical(event):
    return {
        "course": event.enrollment.course.key,
        "learner": event.enrollment.learner.external_id,
        "item": event.item.key,
        "verb": event.verb,
        "occurred_at": event.occurred_at,
        "count": event.count,
        "score": None if event.score is None else float(event.score),
        "source": event.source,
        "source_id": event.source_id,
    }
