"""Evaluation driven by due times, against evaluating all enrollments at every step."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activity.models import Course, Due, DueCause, Enrollment, Item
from activity.operations import ingest, pull_due, save_learner
from common.clock import local_midnight
from segmentation.models import Membership, Norms, Playbook, Segment, Transition
from segmentation.norms import NORMS
from segmentation.operations import (
    SegmentFields,
    add_member,
    clear_override,
    edit_segment,
    remove_member,
    set_mode,
)
from segmentation.queries import compute_norms, match_rule, stored_norms
from segmentation.rules import parse
from segmentation.stages.evaluate import evaluate_due
from tests.examples import examples
from tests.factories import make_course, make_enrollment, make_event, make_item
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    make_playbook,
    make_segment,
    members,
    where,
)
from tests.segmentation.histories import LENGTH, STARTS_ON, VERBS, ZONES, dates
from tests.segmentation.rule_strategies import roster_trait_sets, rule_shapes

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
thorough = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

less = settings(thorough, max_examples=examples(15))

shapes = rule_shapes(windows=(1, 2, 7), meant=True)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LATE = (0, 0, 1, 30, 100)


@dataclass(frozen=True)
class Scene:
    """A course with segments, and pairs of learners with the same acts at the same instants."""

    course: Course
    items: list[Item]
    playbook: Playbook
    segments: list[Segment]
    twins: list[tuple[Enrollment, Enrollment]]


# Rules, several of which are often true at once.
easy_shapes = st.sampled_from(
    (ACTED_TODAY, QUIET, where("modules_open", ">=", 0), where("logins", "=", 0, window=7))
)


@st.composite
def scenes(draw, shapes=shapes):
    zone = draw(st.sampled_from(ZONES))
    first = local_midnight(STARTS_ON, zone)
    course = make_course(
        time_zone=zone,
        starts_on=STARTS_ON,
        ends_on=STARTS_ON + LENGTH * DAY,
        # In a live course the causes of late events are examined.
        live_since=draw(st.sampled_from((None, first - 9 * DAY))),
    )
    modules = [
        make_item(course, "module", assigned_on=draw(dates), due_on=draw(dates)) for _ in range(2)
    ]
    kinds = draw(st.lists(st.sampled_from(("quiz", "assignment", "video")), max_size=4))
    items = [
        make_item(course, kind, parent=draw(st.sampled_from(modules)), due_on=draw(dates))
        for kind in kinds
    ]
    playbook = make_playbook(course, exclusive=draw(st.booleans()))
    segments = [
        make_segment(playbook, draw(shapes), leave_rule=draw(st.none() | shapes), priority=rank)
        for rank in range(draw(st.integers(1, 3)))
    ]
    twins = []
    for _ in range(2):
        enrolled_at = first + draw(st.integers(-5, 100)) * HOUR
        traits = draw(roster_trait_sets)
        pair = [
            make_enrollment(course, enrolled_at=enrolled_at, due_at=first, traits=traits)
            for _ in range(2)
        ]
        twins.append(tuple(pair))
    return Scene(course, [*modules, *items], playbook, segments, twins)


def next_now(draw, scene: Scene, now: datetime) -> datetime:
    """Return the next instant: after some time, or at, before or after the next due instant."""
    due = Due.objects.filter(enrollment__in=[pair[0] for pair in scene.twins], due_at__gt=now)
    instants = [now, *due.values_list("due_at", flat=True)]
    spans = (timedelta(0), MICROSECOND, HOUR, 5 * HOUR, DAY, 3 * DAY)
    return max(now, draw(st.sampled_from(instants)) + draw(st.sampled_from((-MICROSECOND, *spans))))


def do_acts(draw, scene: Scene, now: datetime, *, told_after=(0,)) -> None:
    """Ingest the same acts for both twins of each pair, this many hours late (< 0: imported)."""
    for pair in scene.twins:
        if not draw(st.booleans()):
            continue
        item = draw(st.sampled_from(scene.items))
        verb = draw(st.sampled_from(VERBS[item.kind]))
        at = now - draw(st.sampled_from(told_after)) * HOUR
        score = draw(st.sampled_from((None, 0.2, 0.9))) if verb == "ATTEMPT_QUIZ" else None
        events = [make_event(twin, verb, item=item, occurred_at=at, score=score) for twin in pair]
        assert ingest(events, now=max(now, at)).stored == 2


def do_by_hand(draw, scene: Scene, now: datetime) -> None:
    act = draw(st.sampled_from((add_member, remove_member, clear_override)))
    segment = draw(st.sampled_from(scene.segments))
    for twin in draw(st.sampled_from(scene.twins)):
        act(segment.id, twin.id, now=now)


def do_edit(draw, scene: Scene, now: datetime) -> None:
    segment = Segment.objects.get(id=draw(st.sampled_from(scene.segments)).id)
    fields = replace(SegmentFields.of(segment), rule=draw(shapes), priority=draw(st.integers(0, 3)))
    edit_segment(segment.id, fields, now=now)


def do_traits(draw, scene: Scene, now: datetime) -> None:
    traits = draw(roster_trait_sets)
    for twin in draw(st.sampled_from(scene.twins)):
        save_learner({"external_id": twin.learner.external_id, "traits": traits}, now=now)


def do_switch(draw, scene: Scene, now: datetime) -> None:
    del now
    set_mode(scene.playbook.id, draw(st.sampled_from(("exclusive", "overlapping"))))


def evaluate(scene: Scene, now: datetime) -> None:
    """Evaluate what is due, and check that no evaluation failed."""
    evaluate_due(now=now, course_id=scene.course.id)
    rows = Due.objects.filter(enrollment__course=scene.course)
    assert set(rows.values_list("error", flat=True)) == {""}
    assert not Segment.objects.exclude(error="").exists()


def check_norms(scene: Scene) -> None:
    """Check that the stored norms equal those from the current log, including late events."""
    for row in Norms.objects.filter(course=scene.course).order_by("-day")[:2]:
        names = [name for name in NORMS if name in row.figures]
        stored = stored_norms(row.course_id, row.day, names)
        assert stored == compute_norms(row.course_id, row.day, names)


def story(enrollment: Enrollment) -> tuple[list, list]:
    """Return the whole history of an enrollment in segments."""
    stays = Membership.objects.filter(enrollment=enrollment).order_by("entered_at", "segment", "id")
    moves = Transition.objects.filter(enrollment=enrollment).order_by("id")
    return (
        list(stays.values_list("segment", "entered_at", "left_at", "version", "signals")),
        list(moves.values_list("segment", "kind", "cause", "starts", "occurred_at")),
    )


@thorough
@given(data=st.data())
def test_evaluation_by_due_times_equals_evaluation_of_all_at_every_step(data):
    scene = data.draw(scenes())
    now = local_midnight(scene.course.starts_on, scene.course.time_zone) - HOUR
    changes = st.sampled_from((None, None, None, do_by_hand, do_edit, do_traits, do_switch))
    for _ in range(data.draw(st.integers(3, 10))):
        now = next_now(data.draw, scene, now)
        do_acts(data.draw, scene, now, told_after=LATE)
        change = data.draw(changes)
        if change is not None:
            change(data.draw, scene, now)
        pull_due([pair[1].id for pair in scene.twins], at=now, cause=DueCause.TIME)
        evaluate(scene, now)
        check_norms(scene)
        for driven, pulled in scene.twins:
            assert story(driven) == story(pulled)


@less
@given(data=st.data())
def test_history_imported_ahead_of_the_clock_takes_effect_at_its_instants(data):
    scene = data.draw(scenes())
    now = local_midnight(scene.course.starts_on, scene.course.time_zone)
    for _ in range(data.draw(st.integers(1, 8))):
        now = next_now(data.draw, scene, now)
        do_acts(data.draw, scene, now, told_after=(0, 1, -1, -30, -100))
        pull_due([pair[1].id for pair in scene.twins], at=now, cause=DueCause.TIME)
        evaluate(scene, now)
        for driven, pulled in scene.twins:
            # The causes may differ: only the twin that is evaluated at once resets the cause.
            assert story(driven)[0] == story(pulled)[0]


@less
@given(data=st.data())
def test_exclusive_playbook_never_has_a_learner_in_two_segments(data):
    scene = data.draw(scenes(easy_shapes))
    set_mode(scene.playbook.id, "exclusive")
    now = local_midnight(scene.course.starts_on, scene.course.time_zone)
    for _ in range(data.draw(st.integers(1, 6))):
        now = next_now(data.draw, scene, now)
        do_acts(data.draw, scene, now, told_after=LATE)
        if data.draw(st.booleans()):
            do_by_hand(data.draw, scene, now)
        evaluate(scene, now)
        for twin in (twin for pair in scene.twins for twin in pair):
            held = Membership.objects.filter(enrollment=twin, left_at__isnull=True)
            assert held.count() <= 1


@less
@given(data=st.data())
def test_reading_of_a_past_instant_equals_the_live_result(data):
    scene = data.draw(scenes())
    set_mode(scene.playbook.id, "overlapping")
    Segment.objects.filter(id__in=[segment.id for segment in scene.segments]).update(
        leave_rule=None
    )
    now = local_midnight(scene.course.starts_on, scene.course.time_zone)
    live = {}
    for _ in range(data.draw(st.integers(1, 8))):
        now = next_now(data.draw, scene, now)
        do_acts(data.draw, scene, now)
        evaluate(scene, now)
        live[now] = {segment.id: members(segment) for segment in scene.segments}
    # Delete everything that was stored meanwhile, because it may not be needed.
    Norms.objects.all().delete()
    everybody = [twin.id for pair in scene.twins for twin in pair]
    for as_of, kept in live.items():
        for segment in scene.segments:
            read = match_rule(parse(segment.rule), enrollment_ids=everybody, as_of=as_of)
            assert read == kept[segment.id]
