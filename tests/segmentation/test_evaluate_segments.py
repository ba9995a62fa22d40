"""The command that evaluates all enrollments as of an instant."""

import json
from datetime import timedelta
from io import StringIO
from threading import Timer

import psycopg
import pytest
from django.core.management import CommandError, call_command

from activity.models import Due
from segmentation.models import Transition
from segmentation.operations import evaluate_courses
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast
from tests.processes import database_url
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    due_at,
    make_playbook,
    make_segment,
    members,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def run(*arguments):
    out = StringIO()
    call_command("evaluate_segments", *arguments, stdout=out)
    return out.getvalue()


def test_command_prints_counts_and_members_by_segment():
    cast = make_cast(key="history")
    playbook = make_playbook(cast.course)
    make_segment(playbook, QUIET, key="quiet", priority=1)
    make_segment(playbook, ACTED_TODAY, key="acted", priority=2)
    text = run("--as-of", NOW.isoformat(), "--course", "history")
    assert text.splitlines() == [
        "evaluated 3, entered 3, left 0",
        "  quiet: 3 members",
        "  acted: 0 members",
    ]


def test_json_output_is_only_json():
    cast = make_cast()
    make_segment(make_playbook(cast.course), QUIET, key="quiet")
    assert json.loads(run("--as-of", NOW.isoformat(), "--json")) == {
        "as_of": NOW.isoformat(),
        "evaluated": 3,
        "entered": 3,
        "left": 0,
        "members": {"quiet": 3},
    }


def test_enrollments_that_are_not_due_are_evaluated_too():
    cast = make_cast()
    make_segment(make_playbook(cast.course), QUIET)
    evaluate_due(now=NOW)
    assert due_at(cast.bo) > NOW + HOUR
    said = json.loads(run("--as-of", (NOW + HOUR).isoformat(), "--json"))
    assert said["evaluated"] == 3


def test_only_the_named_course_is_evaluated_and_counted():
    first, second = make_cast(key="first"), make_cast(key="second")
    segment = make_segment(make_playbook(first.course, second.course), QUIET, key="quiet")
    said = json.loads(run("--as-of", NOW.isoformat(), "--course", "first", "--json"))
    assert (said["evaluated"], said["members"]) == (3, {"quiet": 3})
    assert len(members(segment)) == 3
    said = json.loads(run("--as-of", NOW.isoformat(), "--json"))
    assert said["members"] == {"quiet": 6}


def test_segments_of_two_playbooks_with_one_key_are_told_apart():
    cast = make_cast()
    for key in ("early", "late"):
        make_segment(make_playbook(cast.course, key=key), QUIET, key="quiet")
    said = json.loads(run("--as-of", NOW.isoformat(), "--json"))
    assert said["members"] == {"early/quiet": 3, "late/quiet": 3}


def test_an_instant_before_the_last_evaluation_is_refused_and_nothing_written():
    cast = make_cast(key="history")
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    evaluate_due(now=NOW)
    act(cast.bo, occurred_at=NOW)
    with pytest.raises(CommandError, match="'history' was last evaluated as of 2025-09-30T12:00"):
        run("--as-of", (NOW - HOUR).isoformat())
    assert members(segment) == set()
    assert not Transition.objects.exists()


def test_a_stopped_course_is_evaluated_at_its_own_instant_only():
    cast = make_cast(key="demo", clock_stopped_at=NOW)
    segment = make_segment(make_playbook(cast.course), QUIET)
    with pytest.raises(CommandError, match="clock of course 'demo' stopped"):
        run("--as-of", (NOW + HOUR).isoformat())
    run("--as-of", NOW.isoformat())
    assert len(members(segment)) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [("2025-09-30T12:00:00", "has no offset"), ("yesterday", "is not a time")],
)
def test_an_unclear_instant_is_refused(text, reason):
    with pytest.raises(CommandError, match=reason):
        run("--as-of", text)


def test_an_unknown_course_is_refused():
    with pytest.raises(CommandError, match="no course 'nowhere'"):
        run("--as-of", NOW.isoformat(), "--course", "nowhere")


@pytest.fixture
def other():
    """Return another connection to the test database."""
    with psycopg.connect(database_url()) as connection:
        yield connection


def locking_the_last(other, change):
    """Return a callback that holds the last Due row on the other connection for half a second.

    It does so at the first batch, and commits the change that `change` makes to the row.
    """
    timers = []

    def on_batch(_evaluated):
        if not timers:
            last = Due.objects.latest("pk").pk
            other.execute(f"UPDATE activity_due SET {change} WHERE enrollment_id = %s", [last])
            timers.append(Timer(0.5, other.commit))
            timers[0].start()

    return on_batch


@pytest.mark.django_db(transaction=True)
def test_command_waits_for_an_enrollment_that_another_transaction_holds(other):
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    hold = locking_the_last(other, "attempts = attempts")
    done = evaluate_courses([cast.course], as_of=NOW, batch_size=1, on_batch=hold)
    assert (done.counts.evaluated, done.left_out) == (3, 0)
    assert len(members(segment)) == 3


@pytest.mark.django_db(transaction=True)
def test_enrollment_evaluated_as_of_a_later_instant_meanwhile_is_not_changed(other):
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    hold = locking_the_last(other, f"evaluated_at = '{NOW + HOUR}'")
    done = evaluate_courses([cast.course], as_of=NOW, batch_size=1, on_batch=hold)
    assert (done.counts.evaluated, done.left_out) == (2, 1)
    assert len(members(segment)) == 2
    assert Due.objects.latest("pk").evaluated_at == NOW + HOUR
