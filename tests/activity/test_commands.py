"""The command that rebuilds the read models."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from activity.models import DailyActivity
from tests.factories import act, make_enrollment

pytestmark = pytest.mark.django_db


def test_rebuild_read_models_repairs_damaged_rows():
    one, other = make_enrollment(), make_enrollment()
    for enrollment in (one, other):
        act(enrollment)
    DailyActivity.objects.update(acts=99)
    out = StringIO()
    call_command("rebuild_read_models", "--course", one.course.key, "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"enrollments": 1}
    assert set(DailyActivity.objects.values_list("enrollment_id", "acts")) == {
        (one.pk, 1),
        (other.pk, 99),
    }
    out = StringIO()
    call_command("rebuild_read_models", stdout=out)
    assert out.getvalue() == "Rebuilt the read models of 2 enrollments.\n"
    assert set(DailyActivity.objects.values_list("acts", flat=True)) == {1}


def test_an_unknown_course_is_named():
    with pytest.raises(CommandError, match="There is no course 'nowhere'"):
        call_command("rebuild_read_models", "--course", "nowhere")
