"""Two names of one zone give the same result, although PostgreSQL reads CET as fixed."""

from datetime import date, datetime, timedelta

import pytest

from activity.models import DailyActivity
from segmentation.proof import prove_course
from segmentation.stages.evaluate import evaluate_due
from tests.factories import act, make_course, make_enrollment
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, members

pytestmark = pytest.mark.django_db
AT = datetime.fromisoformat("2025-07-11T00:30:00+02:00")
AS_OF = datetime.fromisoformat("2025-07-11T23:50:00+02:00")
SUMMER = {"starts_on": date(2025, 6, 1), "ends_on": date(2025, 8, 31)}


@pytest.mark.parametrize("zone", ["CET", "Europe/Brussels", "MET"])
@pytest.mark.slow
@pytest.mark.sampled(3)
def test_login_after_local_midnight_counts_for_that_day(zone):
    course = make_course(time_zone=zone, **SUMMER)
    enrollment = make_enrollment(course)
    segment = make_segment(make_playbook(course), ACTED_TODAY, now=AT - timedelta(days=1))
    act(enrollment, occurred_at=AT)

    evaluate_due(now=AS_OF)

    assert members(segment) == {enrollment.id}
    assert DailyActivity.objects.get().day == date(2025, 7, 11)
    assert prove_course(course, as_of=AS_OF).difference is None


def test_proof_takes_its_days_from_zoneinfo():
    course = make_course(time_zone="CET", **SUMMER)
    enrollment = make_enrollment(course)
    act(enrollment, occurred_at=AT)
    make_segment(make_playbook(course), ACTED_TODAY, now=AT - timedelta(days=1))
    # The day that a server with other zone rules would have stored.
    DailyActivity.objects.update(day=date(2025, 7, 10))
    difference = prove_course(course, as_of=AS_OF).difference
    assert difference.learner == enrollment.learner.external_id
    assert "is counted on 2025-07-10, but is on 2025-07-11" in difference.what
