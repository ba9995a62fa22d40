"""The live count: faults, sentence, examples, who enters and leaves; one at a time per user."""

import json

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from segmentation.models import Segment
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment, make_learner
from tests.processes import database_url
from tests.segmentation.factories import ACTED_TODAY, QUIET, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)
TWICE = where("logins", ">=", 2, window=1)


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.fixture
def course():
    """Return a course with a stopped clock, in which one of two learners was active today."""
    course = make_course(clock_stopped_at=NOW, title="Botany", time_zone="Europe/Brussels")
    act(make_enrollment(course, make_learner(name="Kit Berg")))
    make_enrollment(course)
    return course


@pytest.fixture
def segment(course):
    return make_segment(make_playbook(course), ACTED_TODAY, name="Here today")


@pytest.fixture
def draft(course):
    return make_segment(make_playbook(course), ACTED_TODAY, name="Here today", active=False)


def count(staff, **typed):
    rules = {name: given if isinstance(given, str) else json.dumps(given)
             for name, given in typed.items()}  # fmt: skip
    response = staff.post(reverse("segmentation:count"), rules)
    assert response.status_code == 200
    return response.json()


def reader(client, *rights):
    user = get_user_model().objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return client


def test_faults_stand_at_their_conditions_all_at_once(staff, draft):
    inner = where("quiz_pass_rate", "<", 60)
    rule = {"combinator": "or", "rules": [where("logins", ">=", "x", window=0)["rules"][0], inner]}

    found = count(staff, rule=rule)

    places = [(fault["at"], fault["key"]) for fault in found["faults"]["rule"]]
    assert places == [("rules[0]", "window"), ("rules[1].rules[0]", "value")]
    assert found["said"] == "The rule has a fault, so nobody is counted."


def test_count_is_a_sentence_with_example_learners(staff, draft):
    found = count(staff, rule=ACTED_TODAY, leave_rule=QUIET, segment=draft.pk)

    assert found["said"] == "1 of 2 learners."
    assert found["counts"]["rule"] == {"rules[0]": "True for 1 of 2 learners."}
    for words in ("Kit Berg", "Days active today</th>", "<td>1</td>", "Members leave when:",
                  "Tuesday 30 September 2025, 14:00 (Europe/Brussels)"):  # fmt: skip
        assert words in found["html"]
    assert Segment.objects.get().rule == draft.rule


def test_equal_names_are_told_apart_by_their_ids(staff, course, draft):
    act(make_enrollment(course, make_learner(name="Kit Berg", external_id="kit-2")))

    html = count(staff, rule=ACTED_TODAY, segment=draft.pk)["html"]

    assert html.count("Kit Berg") == 2
    assert "kit-2" in html


def test_count_of_a_live_segment_says_who_enters_and_leaves(staff, segment):
    evaluate_due(now=NOW)

    found = count(staff, rule=TWICE, segment=segment.pk)

    assert found["said"] == "0 of 2 learners; 0 enter, 1 leave."
    assert "<p>Leave: Kit Berg.</p>" in found["html"]
    assert "Enter:" not in found["html"]


def test_rule_that_matches_nobody_says_which_condition_is_to_blame(staff, draft):
    never = where("logins", ">=", 9, window=7)
    unknown, somebody = where("quiz_pass_rate", "<", 0.5)["rules"][0], ACTED_TODAY["rules"][0]
    other = never | {"not": True}

    html = count(staff, rule=never | {"rules": [unknown, somebody, other]})["html"]
    mixed = never | {"rules": [somebody, ACTED_TODAY | {"not": True}]}

    assert "is unknown for everybody" in html
    assert "is true for nobody" not in html
    assert "never all together" in count(staff, rule=mixed)["html"]


@committed
def test_user_has_one_count_at_a_time(staff, draft):
    user = get_user_model().objects.get()
    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(20253, %s::int)", [user.pk])
        assert count(staff, rule=ACTED_TODAY, segment=draft.pk) == {"busy": True}
        # Another person is not kept waiting.
        other.execute("SELECT pg_advisory_unlock_all()")
        other.execute("SELECT pg_advisory_lock(20253, %s::int)", [user.pk + 1])
        assert count(staff, rule=ACTED_TODAY, segment=draft.pk)["said"] == "1 of 2 learners."


def test_names_of_learners_need_the_right_to_see_them(client, draft):
    html = count(reader(client, "view_segment"), rule=ACTED_TODAY, segment=draft.pk)["html"]

    assert "Kit Berg" not in html
