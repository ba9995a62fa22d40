"""The shipped examples of each family, on small histories: who is in each segment, and who is not.

The five segments have tests of their own.
"""

from datetime import timedelta

import pytest

from segmentation.models import Segment
from segmentation.operations import install_playbook
from segmentation.rules import explain, parse
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_course, make_enrollment, make_item, make_learner
from tests.segmentation.factories import members

pytestmark = pytest.mark.django_db

# Per segment: how its rule reads, then what its member did and what its neighbor did, each as
# (verb, days ago, more). Both enrolled 60 days ago, unless "enrolled" says otherwise.
FAMILIES = {
    "recency-frequency": {
        "champions": (
            "Recency score at least 4 of 5 and frequency score at least 4 of 5",
            [("LOGIN", day) for day in range(1, 9)],
            [("LOGIN", day) for day in range(30, 38)],
        ),
        "were-active": (
            "",
            [("LOGIN", day) for day in range(30, 38)],
            [("LOGIN", 1)],
        ),
        "promising": ("", [("LOGIN", 1)], [("LOGIN", 30)]),
        "lost": ("", [("LOGIN", 30)], [("LOGIN", day) for day in range(1, 9)]),
    },
    "lifecycle": {
        "returned": (
            (
                "The longest time without an act in the last 30 days is at least 14 days and "
                "active on at least 1 of the last 3 days"
            ),
            [("LOGIN", 40), ("LOGIN", 1)],
            [("LOGIN", day) for day in (28, 16, 8, 1)],
        ),
        "gone-quiet": ("Last active at least 14 days ago", [("LOGIN", 14)], [("LOGIN", 13)]),
        "slipping": ("Last active at least 7 days ago", [("LOGIN", 13)], [("LOGIN", 6)]),
        "newcomer": ("Began less than 7 days ago", [("enrolled", 6)], [("enrolled", 8)]),
        "settled": (
            "Began at least 7 days ago",
            [("LOGIN", day) for day in range(0, 40, 6)],
            [("LOGIN", 9)],
        ),
    },
    "comparison": {
        "slower-than-most": (
            "At least 75% of the course completes modules faster",
            [("module", 50)],
            [("module", 5)],
        ),
        "faster-than-most": (
            "Less than 25% of the course completes modules faster",
            [("module", 2)],
            [("module", 5)],
        ),
        "fewer-attempts": (
            "",
            [("ATTEMPT_QUIZ", 9), ("ATTEMPT_QUIZ", 8), ("ATTEMPT_QUIZ", 1)],
            [("ATTEMPT_QUIZ", 8), ("ATTEMPT_QUIZ", 1)],
        ),
        "irregular": (
            "The times between active days in the last 30 days spread by at least 3 days",
            [("LOGIN", 1), ("LOGIN", 2), ("LOGIN", 20)],
            [("LOGIN", 1), ("LOGIN", 3), ("LOGIN", 5)],
        ),
    },
    "purchases": {
        "bought-not-begun": (
            (
                "The first event PURCHASE was at least 2 days ago and has exactly 0 events "
                "VIEW_ITEM so far and has exactly 0 events VIEW_MODULE so far"
            ),
            [("PURCHASE", 3)],
            [("PURCHASE", 3), ("VIEW_ITEM", 2)],
        ),
        "bought-again": (
            "Has at least 2 events PURCHASE in the last 90 days",
            [("PURCHASE", 50), ("PURCHASE", 3), ("VIEW_ITEM", 2)],
            [("PURCHASE", 100), ("PURCHASE", 3), ("VIEW_ITEM", 2)],
        ),
        "spent-much": (
            "The values of events PURCHASE in the last 366 days add up to at least 200",
            [("PURCHASE", 50, 150), ("PURCHASE", 100, 50)],
            [("PURCHASE", 50, 150), ("PURCHASE", 100, 49.99)],
        ),
        "bought-long-ago": (
            (
                "Has at least 1 event PURCHASE so far and has exactly 0 events PURCHASE in the "
                "last 90 days"
            ),
            [("PURCHASE", 95)],
            [("PURCHASE", 80)],
        ),
    },
    "patterns": {
        "thrice-without": (
            (
                "Has at least 3 events ATTEMPT_QUIZ without COMPLETE_MODULE since the first of "
                "them, in the last 7 days"
            ),
            [("COMPLETE_MODULE", 6), *[("ATTEMPT_QUIZ", day) for day in (5, 3, 1)]],
            [*[("ATTEMPT_QUIZ", day) for day in (5, 3, 1)], ("COMPLETE_MODULE", 2)],
        ),
        "started-not-submitted": (
            "",
            [("SUBMIT_ASSIGNMENT", 9), ("START_ASSIGNMENT", 8)],
            [("START_ASSIGNMENT", 8), ("SUBMIT_ASSIGNMENT", 7)],
        ),
        "watches-only": (
            "",
            [("PLAY_VIDEO", day) for day in (5, 4, 1)],
            [("PLAY_VIDEO", 4), ("PLAY_VIDEO", 1)],
        ),
        "mails-unread": (
            "Was sent at least 3 emails in the last 14 days and last active at least 7 days ago",
            [("LOGIN", 8), *[("EMAIL_SENT", day) for day in (9, 5, 1)]],
            [("LOGIN", 2), *[("EMAIL_SENT", day) for day in (9, 5, 1)]],
        ),
    },
    "micro-segments": {
        "again-and-behind": (
            "Trait num_of_prev_attempts is at least 1 and has at least 1 overdue activity",
            [("num_of_prev_attempts", 1), ("owed", 0)],
            [("num_of_prev_attempts", 0), ("owed", 0)],
        ),
        "part-time-and-steady": (
            "",
            [("studied_credits", 60), *[("LOGIN", day) for day in (1, 2, 3)]],
            [("studied_credits", 120), *[("LOGIN", day) for day in (1, 2, 3)]],
        ),
        "first-studies-and-quiet": (
            "",
            [("highest_education", "Lower Than A Level"), ("LOGIN", 5)],
            [("highest_education", "HE Qualification"), ("LOGIN", 5)],
        ),
    },
}
CASES = [(family, key) for family, segments in FAMILIES.items() for key in segments]
TRAITS = ("num_of_prev_attempts", "studied_credits", "highest_education")


def live(course, history):
    """Return an enrollment with the history. A module takes its learner so many hours."""
    enrolled = next((days for name, days, *_ in history if name == "enrolled"), 60)
    traits = {name: value for name, value, *_ in history if name in TRAITS}
    learner = make_learner(traits=traits)
    found = make_enrollment(course, learner, enrolled_at=NOW - timedelta(days=enrolled))
    for name, days, *more in history:
        if name == "module":
            take_a_module(found, hours=days)
        elif name == "owed":
            make_owed(course)
        elif name.isupper():
            value = {"value": more[0]} if more else {}
            act(found, name, occurred_at=NOW - timedelta(days=days, minutes=1), **value)
    return found


def take_a_module(enrollment, *, hours):
    module = enrollment.course.items.filter(kind="module").first()
    module = module or make_item(enrollment.course, "module")
    ended = NOW - timedelta(days=2)
    act(enrollment, "VIEW_MODULE", item=module, occurred_at=ended - timedelta(hours=hours))
    act(enrollment, "COMPLETE_MODULE", item=module, occurred_at=ended)


def make_owed(course):
    due_on = NOW.date() - timedelta(days=10)
    item = course.items.filter(kind="assignment").first()
    item = item or make_item(course, "assignment", due_on=due_on)
    # An activity that nobody has completed is not owed.
    other = make_enrollment(course, enrolled_at=NOW - timedelta(days=60))
    act(other, "SUBMIT_ASSIGNMENT", item=item, occurred_at=NOW - timedelta(days=12))


@pytest.mark.parametrize(("family", "key"), CASES, ids=[f"{a}-{b}" for a, b in CASES])
def test_member_and_neighbor_differ_by_the_rule(family, key):
    words, of_member, of_neighbor = FAMILIES[family][key]
    course = make_course(starts_on=NOW.date() - timedelta(days=120), time_zone="UTC")
    install_playbook(family, now=NOW - timedelta(days=1))
    # Whoever is compared with others needs some.
    others = [live(course, [("module", hours)]) for hours in (4, 6, 8)]
    member, neighbor = live(course, of_member), live(course, of_neighbor)

    evaluate_due(now=NOW)

    segment = Segment.objects.get(playbook__key=family, key=key)
    assert member.pk in members(segment)
    assert neighbor.pk not in members(segment)
    assert len(others) == 3
    said = explain(parse(segment.rule))
    assert words in ("", said)


def test_every_segment_of_an_example_has_a_history():
    for family, segments in FAMILIES.items():
        make_course()
        playbook = install_playbook(family, now=NOW)
        assert set(playbook.segments.values_list("key", flat=True)) == set(segments)
        assert all(playbook.segments.values_list("description", flat=True))
