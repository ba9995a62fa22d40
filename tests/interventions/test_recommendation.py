"""What comes next for a learner: the mapping of the course, else the open module."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, transaction

from activity.models import Enrollment
from common.clock import local_date
from common.tally import tally
from interventions.models import ContentMapping
from interventions.queries.context import message_context
from interventions.queries.recommendation import Ask, check_recommender, recommend
from interventions.render.context import NextItem
from segmentation.models import Segment
from tests.factories import NOW, act, make_item
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)

pytestmark = pytest.mark.django_db
HERE = "tests.interventions.test_recommendation"
LINK = "https://courses.example.org/"


@pytest.fixture
def enrollment() -> Enrollment:
    return make_evaluated(make_live_course())


@pytest.fixture
def segment(enrollment: Enrollment) -> Segment:
    return make_any_segment(enrollment.course)


def ask(enrollment: Enrollment, segment: Segment | None = None) -> Ask:
    course = enrollment.course
    day = local_date(NOW, course.time_zone)
    return Ask(enrollment.pk, course.pk, segment.pk if segment else None, day)


def answer(enrollment: Enrollment, segment: Segment | None = None) -> NextItem | None:
    asked = ask(enrollment, segment)
    return recommend([asked], now=NOW)[asked]


def title(enrollment: Enrollment, segment: Segment | None = None) -> str:
    found = answer(enrollment, segment)
    return found.title if found else "nothing"


def map_to(enrollment: Enrollment, name: str, **fields: Any) -> ContentMapping:
    values = {"title": name, "url": f"{LINK}{name}"} if "item" not in fields else {}
    return ContentMapping.objects.create(course=enrollment.course, **values, **fields)


def test_the_closest_row_of_the_mapping_counts(enrollment: Enrollment, segment: Segment) -> None:
    cells = make_item(enrollment.course, "module", title="Cells", topic="biology")
    other = make_any_segment(enrollment.course)
    assert title(enrollment, segment) == "Cells"
    steps = [
        ("any", {}),
        ("topic", {"topic": "biology"}),
        ("module", {"module": cells}),
        ("segment", {"segment": segment}),
        ("segment and topic", {"segment": segment, "topic": "biology"}),
        ("segment and module", {"segment": segment, "module": cells}),
    ]
    for name, fields in steps:
        map_to(enrollment, name, **fields)
        if "segment" in fields:
            map_to(enrollment, f"{name} elsewhere", **{**fields, "segment": other})
        assert title(enrollment, segment) == name
    assert title(enrollment) == "module"


def test_a_row_for_another_place_or_course_does_not_count(enrollment: Enrollment) -> None:
    make_item(enrollment.course, "module", title="Cells", topic="biology", position=1)
    later = make_item(enrollment.course, "module", title="Later", position=5)
    map_to(enrollment, "later", module=later)
    map_to(enrollment, "physics", topic="physics")
    map_to(make_evaluated(make_live_course()), "abroad")

    assert title(enrollment) == "Cells"


def test_a_topic_is_also_that_of_an_open_item_in_the_module(enrollment: Enrollment) -> None:
    cells = make_item(enrollment.course, "module", title="Cells")
    page = make_item(enrollment.course, "page", parent=cells, topic="walls")
    map_to(enrollment, "walls", topic="walls")
    assert title(enrollment) == "walls"

    act(enrollment, "COMPLETE_ITEM", item=page, occurred_at=NOW)
    assert title(enrollment) == "Cells"


def test_what_the_learner_has_done_or_cannot_do_yet_is_passed_over(
    enrollment: Enrollment, segment: Segment
) -> None:
    make_item(enrollment.course, "module", title="Cells")
    practice = make_item(
        enrollment.course, "quiz", title="Practice", estimated_minutes=5, url=f"{LINK}practice"
    )
    map_to(enrollment, "", item=practice, segment=segment)
    found = answer(enrollment, segment)
    assert found == NextItem("Practice", 5, f"{LINK}practice", "the course recommends it")

    act(enrollment, "ATTEMPT_QUIZ", item=practice, occurred_at=NOW)
    assert title(enrollment, segment) == "Cells"
    tomorrow = NOW.date() + timedelta(days=1)
    ahead = make_item(enrollment.course, "quiz", title="Ahead", assigned_on=tomorrow)
    map_to(enrollment, "", item=ahead)
    assert title(enrollment, segment) == "Cells"


def test_the_mapping_answers_when_no_module_is_open(
    enrollment: Enrollment, segment: Segment
) -> None:
    map_to(enrollment, "Further reading", segment=segment, minutes=20)

    found = answer(enrollment, segment)

    assert found == NextItem(
        "Further reading", 20, f"{LINK}Further reading", "the course recommends it"
    )
    assert answer(enrollment) is None


def test_the_answer_says_why(enrollment: Enrollment) -> None:
    cells = make_item(enrollment.course, "module", title="Cells")
    assert answer(enrollment).why == "it is the first open module"
    act(enrollment, "VIEW_MODULE", item=cells, occurred_at=NOW)
    assert answer(enrollment).why == "it was opened last and is not completed"
    map_to(enrollment, "More", module=cells)
    assert answer(enrollment).why == "the course recommends it with Cells"


def test_many_questions_take_one_query(segment: Segment, django_assert_num_queries) -> None:
    enrollments = [make_evaluated(make_live_course()) for _ in range(3)]
    for each in enrollments[:2]:
        make_item(each.course, "module", title=f"Module of {each.pk}")
    asks = [ask(each, segment) for each in enrollments]

    with django_assert_num_queries(1):
        found = recommend([*asks, asks[0]], now=NOW)

    names = [each and each.title for each in (found[one] for one in asks)]
    assert names == [f"Module of {each.pk}" for each in enrollments[:2]] + [None]
    with django_assert_num_queries(0):
        assert recommend([], now=NOW) == {}


def test_a_message_names_what_its_segment_maps_to(enrollment: Enrollment) -> None:
    make_item(enrollment.course, "module", title="Cells")
    cadence = make_cadence(segment=make_any_segment(enrollment.course))
    map_to(enrollment, "For them", segment=cadence.segment)
    mapped, other = make_delivery(enrollment, cadence), make_delivery(enrollment)

    contexts = [message_context(each, enrollment.learner, now=NOW) for each in (mapped, other)]

    assert [each.next_item and each.next_item.title for each in contexts] == ["For them", "Cells"]


def learned(asks: Sequence[Ask], *, now: datetime) -> dict[Ask, NextItem | None]:
    """Answer the first question only."""
    return {asks[0]: NextItem("Learned", 3, LINK), **dict.fromkeys(asks[1:])}


def failing(asks: Sequence[Ask], *, now: datetime) -> dict[Ask, NextItem | None]:
    """Break the transaction with a statement that fails."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    return {}


def talking(asks: Sequence[Ask], *, now: datetime) -> dict[Ask, Any]:
    """Answer with another type."""
    return dict.fromkeys(asks, "Cells")


def test_a_learned_recommender_is_asked_first(enrollment: Enrollment, settings) -> None:
    settings.RECOMMENDER = f"{HERE}.learned"
    other = make_evaluated(enrollment.course)
    make_item(enrollment.course, "module", title="Cells")
    asks = [ask(enrollment), ask(other)]

    found = recommend(asks, now=NOW)

    assert [found[each].title for each in asks] == ["Learned", "Cells"]


@pytest.mark.parametrize(("name", "error"), [("failing", "DataError"), ("talking", "TypeError")])
def test_a_recommender_that_fails_is_noted_and_replaced(
    enrollment: Enrollment, settings, django_capture_on_commit_callbacks, name: str, error: str
) -> None:
    settings.RECOMMENDER = f"{HERE}.{name}"
    make_item(enrollment.course, "module", title="Cells")

    with tally() as noted, django_capture_on_commit_callbacks(execute=True):
        assert title(enrollment) == "Cells"

    assert noted == {("recommendations failed", error): 1}


@pytest.mark.parametrize("path", ["nowhere.recommend", "common.clock.nothing", f"{HERE}.LINK"])
def test_a_recommender_that_cannot_be_called_stops_the_start(settings, path: str) -> None:
    settings.RECOMMENDER = path

    with pytest.raises(ImproperlyConfigured, match="RECOMMENDER is"):
        check_recommender()


@pytest.mark.parametrize(
    "values",
    [
        {"title": "No link"},
        {"url": LINK},
        {"title": "Both", "url": LINK, "topic": "walls", "module": True},
        {"title": "Both", "url": LINK, "item": True},
        {},
    ],
    ids=["no link", "no title", "two places", "item and title", "nothing"],
)
def test_the_table_itself_refuses_half_a_row(enrollment: Enrollment, values: dict) -> None:
    item = make_item(enrollment.course, "module")
    named = {name: item if value is True else value for name, value in values.items()}

    with pytest.raises(IntegrityError), transaction.atomic():
        ContentMapping.objects.create(course=enrollment.course, **named)


def test_the_table_itself_refuses_two_rows_for_one_place(enrollment: Enrollment) -> None:
    map_to(enrollment, "one")

    with pytest.raises(IntegrityError), transaction.atomic():
        map_to(enrollment, "two")
