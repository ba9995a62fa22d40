"""What staff hold is not shown on course sites either."""

from collections.abc import Callable

import pytest
from django.test import Client

from activity.models import Course
from common.clock import utc_now
from interventions.models import CadenceStatus, CourseSite, Delivery
from interventions.operations import (
    pause_cadence,
    pause_learner,
    pause_site,
    save_course_site,
    set_cadence_status,
)
from tests.factories import NOW
from tests.interventions.test_in_app import LIST, make_sent, token

pytestmark = pytest.mark.django_db

HOLDS: dict[str, Callable[[Delivery, bool], object]] = {
    "everything": lambda _, held: pause_site(paused=held, now=utc_now()),
    "its cadence": lambda d, held: pause_cadence(d.run.cadence_id, paused=held, now=utc_now()),
    "its learner": lambda d, held: pause_learner(d.learner_id, paused=held, now=utc_now()),
    "its course": lambda _, held: Course.objects.update(live_since=None if held else NOW),
    "archived": lambda d, held: set_cadence_status(
        d.run.cadence_id, CadenceStatus.ARCHIVED if held else CadenceStatus.ACTIVE
    ),
}


def test_what_staff_hold_is_not_shown_until_they_resume(client: Client) -> None:
    site = CourseSite(name="Campus", origins=[])
    save_course_site(site)
    delivery = make_sent()
    headers = token(site, delivery.learner.external_id)
    client.post(f"{LIST}{delivery.key}/seen/", headers=headers)

    for name, hold in HOLDS.items():
        for is_held in (True, False):
            hold(delivery, is_held)
            shown = client.get(LIST, headers=headers).json()["messages"]
            assert (name, bool(shown)) == (name, not is_held)
