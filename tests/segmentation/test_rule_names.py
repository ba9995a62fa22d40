"""The names that the page of a rule suggests, and those that it refuses."""

import json
from html import unescape

import pytest
from django.urls import reverse

from activity.models import Verb
from segmentation.models import Segment
from tests.factories import make_course, make_enrollment, make_item, make_learner
from tests.segmentation.factories import make_playbook, where
from tests.segmentation.test_live_count import count
from tests.segmentation.test_rule_pages import address, course, draft, staff, text_of

__all__ = ["course", "draft", "staff"]

pytestmark = pytest.mark.django_db


def test_verbs_items_kinds_and_topics_are_suggested(staff, course, draft):
    Verb.objects.create(name="RAISE_HAND", is_act=True)
    quiz = make_item(course, "quiz", topic="algebra")
    make_item(make_course(), topic="elsewhere")

    names = dict(staff.get(address(draft)).context["names"])

    assert {"LOGIN", "RAISE_HAND"} <= set(names["verbs"])
    assert "module" in names["kinds"]
    assert (names["items"], names["topics"]) == ([quiz.key], ["algebra"])


@pytest.mark.parametrize(
    ("condition", "key", "words"),
    [
        ({"field": "trait", "key": "regoin", "operator": "=", "value": "Wales"}, "key",
         "not a trait of any learner of these courses; did you mean 'region'?"),
        ({"field": "event_count", "verb": "LOGIN", "item": "quizz", "operator": ">=", "value": 1},
         "item", "not an item of these courses; did you mean 'quiz'?"),
        ({"field": "event_count", "verb": "LOGIN", "topic": "algebr", "operator": ">=", "value": 1},
         "topic", "not a topic of an item of these courses; did you mean 'algebra'?"),
    ],
)  # fmt: skip
def test_what_no_learner_and_no_item_has_is_a_fault_and_is_not_saved(
    staff, course, condition, key, words
):
    playbook, condition = make_playbook(course), where(**condition)
    course.enrollments.all().delete()
    # Before there are learners and items, their names are not known.
    assert count(staff, rule=condition, playbook=str(playbook.pk))["faults"]["rule"] == []
    make_enrollment(course, make_learner(traits={"region": "Wales"}))
    make_item(course, "quiz", key="quiz", topic="algebra")

    (fault,) = count(staff, rule=condition, playbook=str(playbook.pk))["faults"]["rule"]
    assert (fault["at"], fault["key"]) == ("rules[0]", key)
    assert words in fault["sentence"]
    typed = {"name": "Mine", "rule": json.dumps(condition), "playbook": playbook.pk}
    page = staff.post(reverse("segmentation:new-rule"), typed | {"action": "save"})
    assert words in unescape(text_of(page))
    assert not Segment.objects.exists()


def test_a_trait_of_a_single_learner_is_known(staff, course):
    playbook = make_playbook(course)
    make_enrollment(course, make_learner(traits={"region": "Wales"}))
    make_enrollment(course, traits={"rare": 1})
    rule = where("trait", ">=", 1, key="rare")
    assert count(staff, rule=rule, playbook=str(playbook.pk))["faults"]["rule"] == []


def test_an_unknown_verb_is_a_fault_at_its_place(staff, course):
    rule = where("event_count", ">=", 1, verb="LOGN")
    answer = count(staff, rule=rule, playbook=str(make_playbook(course).pk))

    (fault,) = answer["faults"]["rule"]
    assert (fault["at"], fault["key"]) == ("rules[0]", "verb")
    assert "did you mean 'LOGIN'?" in fault["sentence"]
