"""Signals of single events: messages, any verb with filters, sums and sequences."""

import json

import pytest
from django.db import connection

from activity.models import Verb
from activity.operations import save_edited
from segmentation.models import Segment
from segmentation.operations import SegmentFields, create_segment
from segmentation.queries import known_names, reads_log
from segmentation.rules import RuleError, describe, explain, find_faults, parse, sentence
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_item
from tests.segmentation.factories import make_playbook, make_segment, members, where
from tests.segmentation.test_signals import ago, course, learner, read

__all__ = ["course", "learner"]

pytestmark = pytest.mark.django_db
NO_FILTER = ("", "", "", "", "")


def test_messages_are_counted_in_the_last_days(learner):
    for verb in ("EMAIL_SENT", "EMAIL_SENT", "EMAIL_OPENED", "IN_APP_SENT"):
        act(learner, verb, occurred_at=ago(days=2))
    act(learner, "EMAIL_SENT", occurred_at=ago(days=8))
    assert read(learner, "messages_sent", 7) == 2
    assert read(learner, "messages_sent", 9) == 3
    assert read(learner, "messages_opened", 7) == 1
    assert read(learner, "messages_clicked", 7) == 0


def test_events_are_counted_by_verb_item_kind_and_topic(learner, course):
    module = make_item(course, "module")
    quiz = make_item(course, "quiz", parent=module, topic="algebra")
    for item, count in ((module, 1), (quiz, 3), (None, 1)):
        act(learner, "VIEW_ITEM", item=item, count=count, occurred_at=ago(days=1))

    def events(item="", kind="", topic=""):
        return read(learner, "event_count", 7, "VIEW_ITEM", item, kind, topic, "", "")

    assert events() == 5
    assert events(item=quiz.key) == 3
    assert events(item=module.key) == 4, "those of its items too"
    assert events(kind="quiz") == 3
    assert events(topic="algebra") == 3
    assert events(kind="module", topic="algebra") == 0
    assert read(learner, "event_count", 1, "VIEW_ITEM", *NO_FILTER) == 0
    assert read(learner, "event_count", None, "VIEW_ITEM", *NO_FILTER) == 5


def test_a_property_is_compared_as_text_at_any_depth(learner):
    properties = {"plan": "gift", "cart": {"items": [{"size": 2}], "paid": True}, "none": None}
    act(learner, "PURCHASE", value=20, properties=properties)
    act(learner, "PURCHASE", value=9.99, properties={"plan": "own"})

    def events(path, equals):
        return read(learner, "event_count", 7, "PURCHASE", "", "", "", path, equals)

    assert events("plan", "gift") == 1
    assert events("cart.items.0.size", "2") == 1
    assert events("cart.paid", "true") == 1
    assert events("none", "null") == 0
    assert events("plan.x", "gift") == 0
    assert read(learner, "event_sum", 7, "PURCHASE", "", "", "", "plan", "gift") == 20


def test_values_are_added_as_decimals(learner):
    for value in (0.1, 0.2, -20, None):
        act(learner, "PURCHASE", value=value)
    assert read(learner, "event_sum", 7, "PURCHASE", *NO_FILTER) == -19.7
    assert read(learner, "event_sum", None, "LOGIN", *NO_FILTER) == 0


def test_days_since_the_first_and_the_last_event_are_exact(learner, course):
    learner.enrolled_at = ago(days=20)
    learner.save(update_fields=["enrolled_at"])
    quiz = make_item(course, "quiz")
    first, last = "days_since_first_event", "days_since_event"
    assert read(learner, first, None, "VIEW_ITEM", *NO_FILTER) is None
    for days, item in ((9, None), (6, quiz), (2, None)):
        act(learner, "VIEW_ITEM", item=item, occurred_at=ago(days=days, hours=12))
    assert read(learner, first, None, "VIEW_ITEM", *NO_FILTER) == 9.5
    assert read(learner, last, None, "VIEW_ITEM", *NO_FILTER) == 2.5
    assert read(learner, last, None, "VIEW_ITEM", "", "quiz", "", "", "") == 6.5
    assert read(learner, last, None, "PURCHASE", *NO_FILTER) == 20


def test_a_sequence_ends_with_the_verb_that_must_not_follow(learner):
    def attempts():
        return read(learner, "sequence", 7, "ATTEMPT_QUIZ", "COMPLETE_MODULE")

    act(learner, "COMPLETE_MODULE", occurred_at=ago(days=5))
    assert attempts() == 0
    for days in (4, 3, 2):
        act(learner, "ATTEMPT_QUIZ", occurred_at=ago(days=days))
    assert attempts() == 3, "the completion was before the first of them"
    act(learner, "COMPLETE_MODULE", occurred_at=ago(days=4))
    assert attempts() == 0, "at the very instant of the first of them"


def test_a_past_instant_reads_only_what_had_occurred(learner):
    act(learner, "EMAIL_SENT", occurred_at=ago(days=3))
    act(learner, "EMAIL_SENT", occurred_at=ago(hours=1))
    assert read(learner, "messages_sent", 7, as_of=ago(hours=2)) == 1
    assert read(learner, "messages_sent", 7, as_of=ago(hours=1)) == 2


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (
            {"field": "event_count", "verb": "PURCHASE", "topic": "algebra", "operator": ">=",
             "value": 2, "window": 30},
            "Has at least 2 events PURCHASE about 'algebra' in the last 30 days",
        ),
        (
            {"field": "event_sum", "verb": "PURCHASE", "property": "cart.size", "equals": "2",
             "operator": ">", "value": 50},
            "The values of events PURCHASE whose cart.size is '2' so far add up to more than 50",
        ),
        (
            {"field": "sequence", "verb": "ATTEMPT_QUIZ", "without": "LOGIN",
             "operator": ">=", "value": 1, "window": 1},
            "Has at least 1 event ATTEMPT_QUIZ without LOGIN since the first of them, today",
        ),
        (
            {"field": "messages_sent", "operator": "<", "value": 2, "window": 7},
            "Was sent fewer than 2 emails in the last 7 days",
        ),
    ],
)  # fmt: skip
def test_rules_on_events_are_explained(condition, words):
    rule = parse(condition)
    assert explain(rule) == words
    (ref,) = [each.ref for each in rule.rules]
    assert describe(ref.identity, 3)[:3] in words


DEEP = ".".join("abcdefghijklmnopqrstuvwxyz"[:9])


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ({"verb": "PURCHSE"}, "verb", "did you mean 'PURCHASE'?"),
        ({"verb": "PURCHASE", "kind": "quizz"}, "kind", "is not a kind of item; did you mean"),
        ({"verb": 7}, "verb", "“Verb of the events” must be text, is a number."),
        ({}, "verb", "“Verb of the events” is missing."),
        ({"verb": "LOGIN", "property": "a", "equals": ""}, "equals", "'property' needs it"),
        ({"verb": "LOGIN", "equals": "a"}, "property", "'equals' needs it"),
        ({"verb": "LOGIN", "property": DEEP, "equals": "a"}, "property", "has 9 levels, at most 8"),
        ({"verb": "LOGIN", "property": "a..b", "equals": "a"}, "property", "an empty name"),
        ({"verb": "LOGIN", "without": "LOGIN"}, "without", "is not a known key here"),
    ],
)
def test_a_fault_is_named_at_its_place_and_changes_nothing(course, more, path, words):
    rule = where("event_count", ">=", 1, **more)
    playbook = make_playbook(course)
    with pytest.raises(RuleError) as refused:
        create_segment(playbook.pk, SegmentFields(key="x", name="X", rule=rule), now=ago())

    assert refused.value.path == f"rules[0].{path}"
    (fault,) = find_faults(json.dumps(rule), known_names()).faults
    assert words in sentence(fault)
    assert not Segment.objects.exists()


def test_a_registered_verb_can_be_used(course, learner):
    Verb.objects.create(name="RAISE_HAND", is_act=True)
    act(learner, "RAISE_HAND")
    rule = where("event_count", ">=", 1, verb="RAISE_HAND")
    segment = make_segment(make_playbook(course), rule)
    assert segment.rule == rule
    assert read(learner, "event_count", 7, "RAISE_HAND", *NO_FILTER) == 1


def test_sql_in_an_argument_is_only_a_text(learner):
    words = "'; DROP TABLE activity_event; --"
    assert read(learner, "event_count", 7, words, words, words, words, words, words) == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM activity_event")


def test_only_rules_in_force_that_read_events_make_messages_count(course):
    playbook = make_playbook(course)
    make_segment(playbook, where("logins", ">=", 1, window=7))
    draft = make_segment(playbook, where("messages_sent", ">=", 1, window=7), active=False)
    assert not reads_log()
    nested = {
        "combinator": "or",
        "not": True,
        "rules": [where("logins", ">=", 1, window=7), draft.rule],
    }
    make_segment(playbook, where("logins", ">=", 1, window=7), leave_rule=nested)
    assert reads_log()


@pytest.mark.parametrize(("argument", "text"), [("item", "q2"), ("topic", "logic")])
def test_an_edited_item_counts_by_what_it_is_now(course, learner, argument, text):
    quiz = make_item(course, "quiz", key="q1", topic="algebra")
    act(learner, "VIEW_ITEM", item=quiz, occurred_at=ago(days=1))
    rule = where("event_count", ">=", 1, verb="VIEW_ITEM", **{argument: text})
    segment = make_segment(make_playbook(course), rule)
    evaluate_due(now=NOW)
    assert members(segment) == set()

    field = "key" if argument == "item" else "topic"
    setattr(quiz, field, text)
    save_edited(quiz, now=NOW)
    evaluate_due(now=NOW)

    assert members(segment) == {learner.pk}
