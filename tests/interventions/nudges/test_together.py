"""Two requests at once make one nudge, and lose nothing of what was typed."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from activity.access import COMMAND_LINE
from experiments.models import Experiment
from interventions.models import Cadence, MessageTemplate, Nudge
from interventions.operations import (
    NudgeFields,
    NudgeMessage,
    NudgeSave,
    create_nudge,
    save_nudge,
)
from tests.factories import NOW
from tests.interventions.factories import make_any_segment, make_category, make_live_course

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 6


def together(work):
    """Run the work in several threads at once and return the results."""

    def alone(number):
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(alone, range(WORKERS)))


def save(user, key, tab, name=""):
    answers = {"name": name}
    return save_nudge(NudgeSave(key, tab, 0, answers, name=name), by=user, now=NOW)


@pytest.fixture
def user():
    return get_user_model().objects.create_user("staff", is_staff=True)


def fields_of_a_segment():
    segment = make_any_segment(make_live_course())
    message = NudgeMessage("Hello", "<p>Hello</p>")
    return NudgeFields("Same name", segment, make_category(), [message], hold_back=True)


def test_one_nudge_started_several_times_at_once_is_made_once(user):
    nudge, fields = save(user, uuid4(), "one"), fields_of_a_segment()

    made = together(
        lambda _: create_nudge(nudge.key, version=1, fields=fields, viewer=COMMAND_LINE, now=NOW)
    )

    assert {each.cadence_id for each in made} == {Cadence.objects.get().pk}
    assert (Experiment.objects.count(), MessageTemplate.objects.count()) == (1, 1)


def test_nudges_of_one_name_made_at_once_share_nothing(user):
    given = [(save(user, uuid4(), "one").key, fields_of_a_segment()) for _ in range(WORKERS)]

    def make(number):
        key, fields = given[number]
        return create_nudge(key, version=1, fields=fields, viewer=COMMAND_LINE, now=NOW)

    made = together(make)

    assert len({each.cadence_id for each in made}) == WORKERS
    assert {template.version for template in MessageTemplate.objects.all()} == {1}
    assert MessageTemplate.objects.count() == WORKERS


def test_tabs_that_save_at_once_lose_nothing(user):
    key = uuid4()

    together(lambda number: save(user, key, f"tab {number}", f"Text {number}"))

    assert {nudge.name for nudge in Nudge.objects.all()} == {
        f"Text {number}" for number in range(WORKERS)
    }
