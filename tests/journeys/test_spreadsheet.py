"""A spreadsheet with a new class is imported into a running course: nobody is drawn or mailed."""

from datetime import timedelta

import pytest
from django.core import mail

from activity.access import COMMAND_LINE
from activity.operations.spreadsheet import import_spreadsheet
from activity.spreadsheet import ID, read_sheet, sheet_rows
from experiments.models import Assignment
from interventions.models import Delivery, Run
from segmentation.models import Membership
from tests.factories import NOW, make_course
from tests.journeys.test_main_path import make_experiment, run_stages
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
# True for everybody who has just been enrolled.
NEVER_ACTED = where("logins", "<", 1, window=7)


def test_import_of_a_class_draws_and_mails_nobody(settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    course = make_course(live_since=NOW - timedelta(days=20))
    make_experiment(make_segment(make_playbook(course), NEVER_ACTED))
    run_stages(NOW)
    text = "id,email\n" + "".join(f"n{number},n{number}@example.org\n" for number in range(30))
    rows = sheet_rows(
        read_sheet(text), columns={ID: 0, "email": 1}, course=course.key, time_zone="UTC"
    )

    hour = timedelta(hours=1)
    import_spreadsheet(course, rows, viewer=COMMAND_LINE, now=NOW + hour, dry_run=False)
    for hours in (2, 3, 30):
        run_stages(NOW + timedelta(hours=hours))

    assert Membership.objects.count() == 30
    assert not Assignment.objects.exists()
    assert not Run.objects.exists()
    assert not Delivery.objects.exists()
    assert mail.outbox == []
