"""The guards of a new site. They are created once, only where there are none, and are listed."""

from datetime import time
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from interventions.models import Category, FrequencyCap, QuietHours
from interventions.operations import make_missing_guards, save_cap
from interventions.queries.guards import guards_of
from tests.factories import make_course
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_category,
    make_live_course,
)

pytestmark = pytest.mark.django_db


def migrate() -> None:
    """Run the function of the migration."""
    migration = import_module("interventions.migrations.0003_guards")
    with connection.schema_editor() as editor:
        migration.make_guards(apps, editor)


def guards() -> dict[str, Any]:
    caps = FrequencyCap.objects.order_by("id").values_list("limit", "window", "length", "on_exceed")
    return {
        "hours": list(QuietHours.objects.values_list("course", "begins", "ends")),
        "caps": list(caps),
        "categories": sorted(Category.objects.values_list("key", flat=True)),
    }


@pytest.mark.parametrize("make", [migrate, make_missing_guards])
def test_a_new_site_has_quiet_hours_two_caps_and_categories(make: Any) -> None:
    make()

    assert guards() == {
        "hours": [(None, time(21), time(8))],
        "caps": [(1, "calendar_day", 1, "defer"), (3, "rolling_days", 7, "defer")],
        "categories": ["extras", "next-steps"],
    }


@pytest.mark.parametrize("make", [migrate, make_missing_guards])
def test_settings_of_an_admin_stay_unchanged(make: Any) -> None:
    QuietHours.objects.create(begins=time(22), ends=time(7))
    save_cap("mine", limit=5, window="calendar_week", active=False)
    make_category()
    before = guards()

    make()

    assert guards() == before


def test_a_cap_of_one_category_does_not_replace_one_on_everything() -> None:
    save_cap("tips", limit=1, window="calendar_day", scope="category", category=make_category())

    assert "the frequency cap “One message a day”" in make_missing_guards()


def test_guards_are_created_only_once() -> None:
    assert len(make_missing_guards()) == 5
    assert make_missing_guards() == []


def test_quiet_hours_of_the_course_replace_the_sites() -> None:
    course = make_course()
    make_missing_guards()
    QuietHours.objects.create(course=course, begins=time(22), ends=time(7))

    assert guards_of(course).apply[0].startswith("Nothing between 22:00 and 07:00")


def test_a_cap_of_another_course_does_not_apply() -> None:
    save_cap("theirs", limit=1, window="calendar_day", course=make_course())

    assert guards_of(make_course()).apply == []


def test_categories_that_are_exempt_are_named() -> None:
    make_missing_guards()
    course = make_live_course()
    alarm = make_category(name="Alarm", quiet=False, capped=False)
    make_cadence(category=alarm, segment=make_any_segment(course))

    assert guards_of(course).missing == [
        "quiet hours for the category “Alarm”: it is exempt from them",
        "frequency caps for the category “Alarm”: it is exempt from them",
    ]
