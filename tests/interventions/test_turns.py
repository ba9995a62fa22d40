"""Of one priority the courses take turns, and a page of due learners costs the same at any size."""

from datetime import timedelta

import pytest
from django.db import connection

from interventions.queries import due
from interventions.queries.due import due_learners
from tests.factories import NOW
from tests.interventions.factories import (
    dispatch,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)

pytestmark = pytest.mark.django_db


def test_a_small_course_does_not_wait_for_all_messages_of_a_large_one() -> None:
    cadence = make_cadence()
    large, small = make_live_course(), make_live_course()
    of_large = [make_delivery(make_evaluated(large), cadence) for _ in range(4)]
    of_small = [
        make_delivery(make_evaluated(small), cadence, planned_at=NOW - timedelta(seconds=1 - each))
        for each in range(2)
    ]

    sent, _ = dispatch()

    turns = [of_small[0], of_large[0], of_large[1], of_small[1], of_large[2], of_large[3]]
    assert [each.address for each in sent] == [each.learner.email for each in turns]


def test_a_more_important_message_goes_before_the_turn_of_another_course() -> None:
    course, other = make_live_course(), make_live_course()
    urgent = [make_delivery(make_evaluated(course), make_cadence(priority=1)) for _ in range(2)]
    make_delivery(make_evaluated(other), make_cadence(priority=2))

    found = due_learners(now=NOW, channels=["email"])

    assert found[:2] == [each.learner_id for each in urgent]


def test_a_page_looks_only_at_the_messages_that_are_due_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due, "LOOKED_AT", 2)
    cadence, course = make_cadence(), make_live_course()
    deliveries = [
        make_delivery(make_evaluated(course), cadence, send_at=NOW - timedelta(minutes=each))
        for each in range(4)
    ]

    found = due_learners(now=NOW, channels=["email"])

    assert set(found) == {each.learner_id for each in deliveries[2:]}
    # All of them go out all the same, page after page.
    assert len(dispatch()[0]) == 4


def test_the_longest_due_messages_of_a_step_are_found_by_an_index() -> None:
    make_delivery()
    values = {"now": NOW, "channels": ["email"], "passed_over": [], "limit": 1, "looked_at": 1}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {due._DUE}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "delivery_planned_of_step" in plan
