"""Random courses: dated items, and acts at edge cases, stored in any order of arrival."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from activity.operations import ingest
from common.clock import local_midnight
from segmentation.proof.log import Act
from segmentation.proof.plain import World
from tests.factories import make_course, make_enrollment, make_event, make_item, make_learner
from tests.segmentation.rule_strategies import trait_sets

# A course over the night on which the clocks go back, in zones with special cases: in Havana
# the day has two midnights, and in Beirut another day has none.
ZONES = ("Europe/London", "America/Havana", "Asia/Kathmandu", "UTC")
STARTS_ON = date(2025, 10, 20)
LENGTH = 21
MICROSECOND = timedelta(microseconds=1)

VERBS = {
    "module": ("VIEW_MODULE", "COMPLETE_MODULE"),
    "quiz": ("ATTEMPT_QUIZ", "VIEW_ITEM", "COMPLETE_ITEM"),
    "assignment": ("SUBMIT_ASSIGNMENT", "START_ASSIGNMENT"),
    "video": ("PLAY_VIDEO", "ATTEMPT_QUIZ"),
    "page": ("VIEW_ITEM", "COMPLETE_ITEM", "DOWNLOAD_RESOURCE"),
}
VALUES = (None, Decimal("9.99"), Decimal("0.1"), Decimal("0.2"), Decimal(-20))
PROPERTIES: tuple[dict[str, Any], ...] = (
    {},
    {"plan": "gift"},
    {"plan": None, "cart": {"size": 2, "of": ["gift", True]}},
    {"plan": ["gift"]},
)
dates = st.one_of(
    st.none(), st.integers(-3, LENGTH).map(lambda days: STARTS_ON + timedelta(days=days))
)


@st.composite
def instants(draw, zone):
    """Return an instant of the course, often just at, before or after a local midnight."""
    day = STARTS_ON + timedelta(days=draw(st.integers(-2, LENGTH)))
    midnight = local_midnight(day, zone)
    seconds = st.integers(0, 86_400).map(lambda second: timedelta(seconds=second))
    edges = st.sampled_from((timedelta(0), MICROSECOND, -MICROSECOND, timedelta(hours=1)))
    return midnight + draw(st.one_of(seconds, edges))


@st.composite
def worlds(draw):
    """Store a random course and return it as the reference sees it."""
    zone = draw(st.sampled_from(ZONES))
    course = make_course(
        time_zone=zone,
        starts_on=STARTS_ON,
        ends_on=STARTS_ON + timedelta(days=LENGTH),
        grace_days=draw(st.sampled_from((2, 0, 5))),
    )
    items = _items(draw, course)
    learners = [
        make_enrollment(
            course,
            make_learner(traits=draw(trait_sets)),
            enrolled_at=draw(instants(zone)),
            traits=draw(trait_sets),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    acts = [_act(draw, items, learners, zone) for _ in range(draw(st.integers(0, 25)))]
    # Two mails in between, which are not acts.
    later = [
        replace(act, verb=verb, occurred_at=act.occurred_at + MICROSECOND, count=1, score=None)
        for act, verb in zip(acts, ("EMAIL_SENT", "EMAIL_OPENED"), strict=False)
    ]
    events = acts + [replace(mail, value=None, properties={}) for mail in later]
    _store(events, draw)
    return World(course, items, events)


def _items(draw, course):
    modules = [
        make_item(course, "module", assigned_on=draw(dates), due_on=draw(dates))
        for _ in range(draw(st.integers(1, 3)))
    ]
    parents = st.sampled_from([None, *modules])
    kinds = st.sampled_from(("quiz", "quiz", "assignment", "video", "page"))
    children = [
        make_item(course, kind, parent=draw(parents), assigned_on=draw(dates), due_on=draw(dates))
        for kind in draw(st.lists(kinds, min_size=1, max_size=6))
    ]
    return modules + children


def _act(draw, items, learners, zone):
    item = draw(st.sampled_from([None, *items, *items]))
    # An attempt need not name its quiz.
    verbs = VERBS[item.kind] if item else ("LOGIN", "ATTEMPT_QUIZ", "PURCHASE", "PURCHASE")
    verb = draw(st.sampled_from(verbs))
    score = None
    if verb == "ATTEMPT_QUIZ":
        score = draw(st.sampled_from((None, 0.0, 0.333333, 0.5, 0.75, 1.0)))
    count = 1 if score is not None else draw(st.sampled_from((1, 1, 3)))
    learner = draw(st.sampled_from(learners))
    value = draw(st.sampled_from(VALUES)) if verb == "PURCHASE" else None
    properties = draw(st.sampled_from(PROPERTIES))
    return Act(learner, verb, draw(instants(zone)), item, count, score, value, properties)


def _store(acts, draw):
    """Ingest the events in any order."""
    events = [
        make_event(
            act.enrollment,
            act.verb,
            item=act.item,
            occurred_at=act.occurred_at,
            count=act.count,
            score=act.score,
            value=None if act.value is None else float(act.value),
            properties=act.properties,
        )
        for act in acts
    ]
    now = datetime.combine(STARTS_ON, datetime.min.time()).astimezone() + timedelta(days=60)
    result = ingest(draw(st.permutations(events)), now=now)
    assert not result.rejected
