"""The next item in a learner's message."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activity.models import Enrollment, Item
from interventions.models import Delivery
from interventions.queries.context import message_context
from interventions.render.context import NextItem
from tests.factories import NOW, act, make_item
from tests.interventions.factories import make_delivery, make_evaluated, make_live_course

pytestmark = pytest.mark.django_db


@pytest.fixture
def enrollment() -> Enrollment:
    return make_evaluated(make_live_course())


def module(enrollment: Enrollment, title: str, **fields: object) -> Item:
    return make_item(enrollment.course, "module", title=title, **fields)


def next_item(enrollment: Enrollment) -> NextItem | None:
    delivery = Delivery.objects.get(pk=make_delivery(enrollment).pk)
    return message_context(delivery, enrollment.learner, now=NOW).next_item


def next_title(enrollment: Enrollment) -> str:
    found = next_item(enrollment)
    return found.title if found else "nothing"


def test_the_next_item_is_the_open_module_touched_last(enrollment: Enrollment) -> None:
    one, two, three = (module(enrollment, title) for title in ("One", "Two", "Three"))
    assert next_title(enrollment) == "One"

    video = make_item(enrollment.course, "video", parent=two)
    act(enrollment, "VIEW_MODULE", item=one, occurred_at=NOW - timedelta(days=3))
    act(enrollment, "PLAY_VIDEO", item=video, occurred_at=NOW - timedelta(days=1))
    assert next_title(enrollment) == "Two"

    act(enrollment, "VIEW_MODULE", item=three, occurred_at=NOW - timedelta(hours=2))
    act(enrollment, "COMPLETE_MODULE", item=three, occurred_at=NOW - timedelta(hours=1))
    assert next_title(enrollment) == "Two"


def test_a_module_due_more_than_two_weeks_ago_is_not_a_next_item(enrollment: Enrollment) -> None:
    day = NOW.date()
    module(enrollment, "Long over", due_on=day - timedelta(days=15))
    assert next_item(enrollment) is None

    module(enrollment, "Just over", due_on=day - timedelta(days=14))
    assert next_title(enrollment) == "Just over"


def test_a_module_takes_minutes_and_address_of_its_first_open_item(enrollment: Enrollment) -> None:
    cells = module(enrollment, "Cells")
    make_item(
        enrollment.course, "page", parent=cells, position=1, estimated_minutes=6,
        url="http://moodle/cells",
    )  # fmt: skip

    found = next_item(enrollment)
    assert found is not None
    assert replace(found, why="") == NextItem("Cells", 6, "http://moodle/cells")


def test_estimate_of_nothing_is_no_estimate(enrollment: Enrollment) -> None:
    cells = module(enrollment, "Cells", estimated_minutes=0)
    found = next_item(enrollment)
    assert found is not None
    assert found.minutes is None

    make_item(enrollment.course, "page", parent=cells, position=1, estimated_minutes=6)
    found = next_item(enrollment)
    assert found is not None
    assert found.minutes == 6


def test_facts_of_a_message_take_two_queries(enrollment: Enrollment, django_assert_num_queries):
    pk = make_delivery(enrollment).pk
    rows = Delivery.objects.select_related("enrollment__course", "run__cadence")
    delivery = rows.get(pk=pk)

    with django_assert_num_queries(2):
        message_context(delivery, enrollment.learner, now=NOW)
