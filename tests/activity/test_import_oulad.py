"""The OULAD importer on a real run, whose numbers are published with the data."""

import json
from datetime import date

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Sum

from activity.models import Course, DailyActivity, Enrollment, Event, Progress
from activity.operations import rebuild_read_models
from tests.activity.oulad_folder import run_import


@pytest.fixture(scope="module")
def real_run(shared_data, django_db_setup, django_db_blocker):
    """Import AAA_2013J once for the tests of this module, in a transaction that is rolled back."""
    with django_db_blocker.unblock(), transaction.atomic():
        imported = run_import(shared_data / "oulad")
        # Once, here: otherwise each test would check the keys of every imported event again.
        connection.check_constraints()
        yield imported
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_real_run_has_its_published_numbers(real_run):
    course = Course.objects.get(key="AAA_2013J")
    enrolled = Enrollment.objects.filter(course=course)
    clicks = Event.objects.filter(enrollment__course=course, source_id__startswith="vle:")
    assert (course.starts_on, course.ends_on) == (date(2013, 10, 5), date(2014, 6, 30))
    assert enrolled.count() == 383
    assert enrolled.exclude(completed_at=None).count() == 278
    assert enrolled.exclude(withdrew_at=None).count() == 60
    assert clicks.values("enrollment").distinct().count() == 378
    assert clicks.aggregate(total=Sum("count"))["total"] == 648_494


@pytest.mark.django_db
@pytest.mark.parametrize("as_of", ["2013-11-04T23:59:59+00:00", "2013-11-05T05:29:59.5+05:30"])
def test_a_real_run_gives_the_published_preview(real_run, tmp_path, capsys, as_of):
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps({"field": "active_days", "window": 7, "operator": "<", "value": 1}))
    call_command("preview_rule", rule, "--course", "AAA_2013J", "--as-of", as_of, "--json")
    found = json.loads(capsys.readouterr().out)
    assert (found["matches"], found["of"], len(found["learners"])) == (54, 368, 54)


@pytest.mark.long(
    "tests/activity/test_oulad_repeats.py::test_a_second_import_changes_nothing_and_says_so"
)
@pytest.mark.django_db
def test_a_real_run_is_not_imported_twice(real_run, shared_data):
    before = Event.objects.count()
    (again,) = run_import(shared_data / "oulad")
    assert again.is_empty
    assert Event.objects.count() == before == real_run[0].events


@pytest.mark.long(
    "tests/activity/test_read_models.py::"
    "test_any_order_repetition_batching_and_lateness_agree_with_rebuild_and_oracle"
)
@pytest.mark.django_db
def test_read_models_of_a_real_run_equal_a_rebuild(real_run):
    def read():
        return [
            list(model.objects.order_by("enrollment_id", key).values_list(*columns))
            for model, key in ((DailyActivity, "day"), (Progress, "item_id"))
            for columns in [[f.attname for f in model._meta.fields if not f.primary_key]]
        ]

    imported = read()
    rebuild_read_models()
    assert read() == imported
    assert sum(row[2] for row in imported[0]) > 648_494
