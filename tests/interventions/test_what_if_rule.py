"""What if: the last 30 days under an unsaved rule, against a plain reading of each learner."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from activity import access
from activity.models import Course, Enrollment
from activity.operations import ingest
from common.clock import local_date, local_midnight
from interventions.models import Delivery
from interventions.queries.what_if_rule import RuleEffect, RuleWhatIf, what_if_rule
from segmentation.models import Segment
from segmentation.operations import add_member
from segmentation.queries import TypedRules
from segmentation.queries import replay as replaying
from segmentation.rules import conditions, evaluate, parse
from segmentation.stages.evaluate import evaluate_due
from tests.factories import act, make_course, make_enrollment, make_event, make_item
from tests.interventions.factories import make_cadence, make_delivery, make_run, make_transition
from tests.segmentation.factories import make_playbook, make_segment, where
from tests.segmentation.reference import Act, LearnerReading, World

pytestmark = pytest.mark.django_db
# The last 30 days go over the night on which the clocks go back in London.
NOW = datetime(2025, 11, 5, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
OFTEN = where("active_days", ">=", 3, window=7)
RARE = where("active_days", ">=", 5, window=7)
QUIET = where("days_since_activity", ">=", 2.5)
TODAY = where("logins", ">=", 2, window=1)


def make_days(**fields: Any) -> Course:
    values = {"starts_on": date(2025, 9, 20), "ends_on": date(2025, 12, 1)}
    return make_course(**{**values, "live_since": NOW - 60 * DAY, **fields})


def tried(
    segment: Segment, rule: dict[str, Any], leave_rule: Any = None, *, seconds: float = 1e6
) -> RuleWhatIf:
    typed = TypedRules(segment, parse(rule), leave_rule and parse(leave_rule))
    boss = get_user_model()(is_superuser=True, is_active=True)
    ticks = iter(range(10**6))
    return what_if_rule(typed, viewer=boss, now=NOW, clock=lambda: next(ticks), seconds=seconds)


def effect(segment: Segment, rule: dict[str, Any], leave_rule: Any = None) -> RuleEffect:
    (found,) = tried(segment, rule, leave_rule).effects
    return found


def numbers(found: RuleEffect) -> tuple[int, ...]:
    counts = (found.before, found.after, found.learners, found.messages)
    return (*counts, found.fewer, found.later, found.sooner, found.more)


def make_message(enrollment: Enrollment, cadence: Any, at: datetime, **fields: Any) -> Delivery:
    """Return a message that went out an hour after the entry."""
    entry = make_transition(enrollment, cadence.segment, occurred_at=at, processed_at=at, **fields)
    run = make_run(
        enrollment, cadence, transition=entry, started_at=at, status="finished", ended_at=at + HOUR
    )
    instants = dict.fromkeys(("planned_at", "send_at", "claimed_at", "finished_at"), at + HOUR)
    return make_delivery(run=run, state="handed_off", **instants)


# The oracle: plain Python for one learner after the other.


@dataclass
class Plain:
    """Evaluates the rules of the segments for one learner at an instant, from the list of acts."""

    worlds: dict[int, World]
    zone: str = "Europe/London"
    known: dict[Any, bool] = field(default_factory=dict)

    def is_true(self, rule: Any, one: Enrollment, at: datetime) -> bool:
        if rule is None:
            return False
        key = (json.dumps(rule), one.pk, at)
        if key not in self.known:
            reading = LearnerReading(self.worlds[one.pk], one, at)
            parsed = parse(rule)
            signals = {
                each.ref.identity: getattr(reading, each.ref.signal.name)(each.ref.window)
                for each in conditions(parsed)
            }
            self.known[key] = reading.began_at <= at and evaluate(parsed, signals) is True
        return self.known[key]

    def stays(self, chain: list[tuple[Any, Any]], one: Enrollment) -> list[bool]:
        """Return whether the learner is in the last segment of the chain at the end of each day."""
        last = local_date(NOW, self.zone)
        held, found = [False] * len(chain), []
        for back in range(30, -1, -1):
            at = local_midnight(last - timedelta(days=back - 1), self.zone)
            at = min(at - timedelta(microseconds=1), NOW)
            is_taken = False
            for place, (rule, leave) in enumerate(chain):
                stays = held[place] and leave is not None
                wanted = stays or self.is_true(rule, one, at)
                held[place] = wanted and not self.is_true(leave, one, at) and not is_taken
                is_taken = is_taken or held[place]
            found.append(held[-1])
        return found


def of_learner(world: World, one: Enrollment) -> World:
    """Return the world of one learner. No signal of the rules here looks at others."""
    return World(world.course, world.items, [each for each in world.acts if each.enrollment == one])


def entered(stays: list[bool]) -> list[int]:
    return [day for day in range(1, len(stays)) if stays[day] and not stays[day - 1]]


def is_alone(mine: list[bool], other: list[bool], day: int) -> bool:
    while day < len(mine) and mine[day]:
        if other[day]:
            return False
        day += 1
    return True


def expected_fate(
    plain: Plain, before: list[bool], after: list[bool], message: Delivery, typed: tuple[Any, Any]
) -> str:
    entry = message.run.transition
    first = local_date(NOW, plain.zone) - timedelta(days=30)
    day = (local_date(entry.occurred_at, plain.zone) - first).days
    rule, leave = typed
    if after[day]:
        return "sooner" if after[day - 1] and not before[day - 1] else "same"
    lets_in = plain.is_true(rule, message.enrollment, entry.occurred_at)
    if lets_in and not plain.is_true(leave, message.enrollment, entry.occurred_at):
        return "same"
    return "never" if is_alone(before, after, day) else "later"


def make_world(rng: Random, course: Course) -> World:
    modules = [make_item(course, "module") for _ in range(2)]
    quizzes = [make_item(course, "quiz", parent=module) for module in modules]
    learners = [make_enrollment(course) for _ in range(9)]
    begin = NOW - timedelta(days=44)
    acts = []
    for one in learners:
        pace = rng.uniform(0.3, 1.2)
        for day in range(44):
            for _ in range(rng.random() < pace and rng.choice((1, 1, 3))):
                at = begin + day * DAY + timedelta(minutes=rng.randrange(1440))
                verb, item = rng.choice((("LOGIN", None), ("ATTEMPT_QUIZ", rng.choice(quizzes))))
                score = rng.choice((0.2, 0.8)) if item else None
                acts.append(Act(one, verb, at, item, 1, score))
    ingest(
        [
            make_event(each.enrollment, each.verb, item=each.item, occurred_at=each.occurred_at,
                       score=each.score)
            for each in acts
        ],
        now=NOW,
    )  # fmt: skip
    return World(course, [*modules, *quizzes], acts)


def make_messages(rng: Random, cadence: Any, world: World) -> Iterator[Delivery]:
    """Let messages go out to learners at random instants, often just after something they did."""
    begin = local_midnight(local_date(NOW, "Europe/London") - timedelta(days=29), "Europe/London")
    recent = [each for each in world.acts if begin < each.occurred_at < NOW - 2 * HOUR]
    for each in rng.sample(recent, 30):
        yield make_message(each.enrollment, cadence, each.occurred_at)


CASES = {
    "stricter": ((OFTEN, None), (RARE, None), None),
    "looser": ((RARE, None), (OFTEN, None), None),
    "of today": ((TODAY, None), (where("logins", ">=", 1, window=1), None), None),
    "leave rule": ((OFTEN, None), (RARE, QUIET), None),
    "other leave rule": ((RARE, QUIET), (RARE, where("active_days", "<", 2, window=7)), None),
    "exclusive": ((OFTEN, None), (RARE, None), (where("quiz_attempts", ">=", 4, window=7), None)),
    "exclusive with a leave rule": (
        (OFTEN, None),
        (where("active_days", ">=", 2, window=7), QUIET),
        (where("quiz_pass_rate", "<", 0.5, window=7), QUIET),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_replay_says_what_a_plain_reading_of_each_learner_and_day_says(name: str) -> None:
    saved, typed, earlier = CASES[name]
    rng = Random(name)
    course = make_days()
    world = make_world(rng, course)
    playbook = make_playbook(course, exclusive=earlier is not None)
    if earlier:
        make_segment(playbook, earlier[0], leave_rule=earlier[1], priority=1)
    segment = make_segment(playbook, saved[0], leave_rule=saved[1], priority=2)
    make_segment(playbook, OFTEN, priority=3)
    cadence = make_cadence(segment=segment)
    messages = list(make_messages(rng, cadence, world))
    learners = list(course.enrollments.all())
    plain = Plain({one.pk: of_learner(world, one) for one in learners})
    first = [earlier] if earlier else []
    before = {one.pk: plain.stays([*first, saved], one) for one in learners}
    after = {one.pk: plain.stays([*first, typed], one) for one in learners}
    fates = Counter(
        expected_fate(plain, before[each.enrollment_id], after[each.enrollment_id], each, typed)
        for each in messages
    )
    extra = [
        pk for pk in after for day in entered(after[pk]) if is_alone(after[pk], before[pk], day)
    ]
    missing = [
        pk for pk in before for day in entered(before[pk]) if is_alone(before[pk], after[pk], day)
    ]
    had = {each.enrollment_id for each in messages}

    found = effect(segment, *typed)

    assert numbers(found) == (
        sum(bool(entered(each)) for each in before.values()),
        sum(bool(entered(each)) for each in after.values()),
        len({*extra, *missing}),
        len(messages),
        fates["never"],
        fates["later"],
        fates["sooner"],
        # The cadence runs once for each learner.
        len(set(extra) - had),
    )
    assert found.learners + found.fewer + found.later + found.sooner > 0
    assert len(found.replay.days) == 30


@pytest.fixture
def course() -> Course:
    return make_days()


@pytest.fixture
def segment(course: Course) -> Segment:
    return make_segment(make_playbook(course), where("days_since_activity", ">=", 7))


SHORTER, LONGER = where("days_since_activity", ">=", 5), where("days_since_activity", ">=", 12)


def make_quiet(course: Course, *days_ago: float) -> Enrollment:
    """Return a learner who was active on these days and never since."""
    one = make_enrollment(course, enrolled_at=NOW - 40 * DAY)
    for each in days_ago:
        act(one, occurred_at=NOW - each * DAY)
    return one


def test_message_of_who_comes_back_in_time_would_not_have_gone_out(
    course: Course, segment: Segment
) -> None:
    cadence = make_cadence(segment=segment)
    # One comes back after eight days, the other one stays away.
    for one in (make_quiet(course, 20, 12), make_quiet(course, 20)):
        make_message(one, cadence, NOW - 13 * DAY)

    found = effect(segment, LONGER)

    assert (found.messages, found.fewer, found.later, found.sooner) == (2, 1, 1, 0)
    assert numbers(effect(segment, SHORTER))[3:] == (2, 0, 0, 2, 0)


def test_entry_between_two_ends_of_days_is_asked_about_at_its_instant(
    course: Course, segment: Segment
) -> None:
    # Six hours after the entry, the learner is back.
    make_message(make_quiet(course, 20, 12.75), make_cadence(segment=segment), NOW - 13 * DAY)
    nearly = where("days_since_activity", ">=", 6.9)

    assert numbers(effect(segment, nearly))[3:] == (1, 0, 0, 0, 0)
    assert numbers(effect(segment, LONGER))[3:] == (1, 1, 0, 0, 0)


def test_runs_more_count_each_learner_once_where_the_cadence_runs_once(
    course: Course, segment: Segment
) -> None:
    once = make_cadence(segment=segment)
    make_cadence(segment=segment, reentry="cooldown", cooldown=3 * DAY)
    make_cadence(segment=segment, status="draft")
    # Both are quiet for six days, twice.
    make_quiet(course, 22, 16, 10, 4)
    had = make_quiet(course, 22, 16, 10, 4)
    make_run(had, once, status="finished", ended_at=NOW, started_at=NOW - DAY)

    found = effect(segment, SHORTER)

    assert (found.before, found.after, found.learners) == (0, 2, 2)
    entries = len(found.replay.only_after)
    assert entries == 6
    assert found.more == 1 + entries


def test_no_run_begins_in_a_course_that_was_not_live(course: Course, segment: Segment) -> None:
    make_cadence(segment=segment)
    make_quiet(course, 22, 16, 10, 4)
    assert effect(segment, SHORTER).more == 1

    Course.objects.update(live_since=NOW - DAY)
    assert effect(segment, SHORTER).more == 0
    Course.objects.update(live_since=None)
    assert effect(segment, SHORTER).more == 0


def test_learner_whom_staff_added_gets_the_message_in_any_case(
    course: Course, segment: Segment
) -> None:
    one = make_quiet(course, *range(1, 40))
    add_member(segment.pk, one.pk, now=NOW)
    make_message(one, make_cadence(segment=segment), NOW - 3 * DAY, cause="manual")

    assert numbers(effect(segment, LONGER)) == (0, 0, 0, 1, 0, 0, 0, 0)


def test_ghosts_and_runs_that_another_thing_started_are_left_out(
    course: Course, segment: Segment
) -> None:
    one = make_quiet(course, 20)
    on_leave = make_cadence(segment=segment, trigger="leave")
    make_message(one, on_leave, NOW - 13 * DAY, kind="leave")
    entry = make_transition(one, segment, occurred_at=NOW - 13 * DAY, processed_at=NOW)
    ghost = make_run(one, make_cadence(segment=segment), transition=entry, ghost=True)
    make_delivery(run=ghost, state="ghost", claimed_at=NOW - 12 * DAY)

    assert effect(segment, LONGER).messages == 0


def test_members_by_the_leave_rule_begin_with_the_real_ones(course: Course) -> None:
    rule = where("days_since_activity", ">=", 7)
    segment = make_segment(
        make_playbook(course), rule, leave_rule=where("logins", ">=", 9, window=7)
    )
    one = make_quiet(course, 39)
    evaluate_due(now=NOW - 31 * DAY)
    act(one, occurred_at=NOW - 30.5 * DAY)

    # Who was in before the days, and stays, does not enter again.
    assert effect(segment, rule, segment.leave_rule).before == 0
    assert effect(segment, rule).after == 1
    assert one.memberships.get().left_at is None


def test_course_that_is_over_or_stands_still_is_replayed_up_to_then(segment: Segment) -> None:
    make_quiet(segment.playbook.courses.get(), 33)
    stopped = NOW - 20 * DAY
    Course.objects.update(clock_stopped_at=stopped)
    found = effect(segment, LONGER)
    assert (found.until, found.is_past, len(found.replay.days)) == (stopped, True, 30)
    assert (found.before, found.after) == (1, 1)
    assert found.notes == ["up to Thursday 16 October 2025"]

    Course.objects.update(clock_stopped_at=None, ends_on=(NOW - 10 * DAY).date())
    assert effect(segment, LONGER).notes == ["up to Sunday 26 October 2025"]


def test_segment_that_is_not_active_holds_nobody_as_it_is(course: Course) -> None:
    playbook = make_playbook(course)
    make_quiet(course, 20)
    draft = make_segment(playbook, SHORTER, active=False)

    for each in (Segment(playbook=playbook), draft):
        found = effect(each, SHORTER)
        assert (found.before, found.after, found.learners, found.messages) == (0, 1, 1, 0)


def test_large_course_is_replayed_by_a_sample_and_slow_one_by_fewer_days(
    course: Course, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        make_message(make_quiet(course, 20), make_cadence(segment=segment), NOW - 13 * DAY)
    monkeypatch.setattr(replaying, "MOST_LEARNERS", 3)
    found = effect(segment, LONGER)
    assert (found.before, found.messages) == (3, 3)
    assert found.notes == ["a sample of 3 of 4 learners"]

    (short,) = tried(segment, LONGER, seconds=6).effects
    assert 0 < len(short.replay.days) < 8
    assert short.notes[0] == f"only {len(short.replay.days)} days, because it is large"
    (least,) = tried(segment, LONGER, seconds=0).effects
    assert len(least.replay.days) == 1


def test_replay_takes_a_query_a_day(
    course: Course, segment: Segment, django_assert_max_num_queries: Any
) -> None:
    cadence = make_cadence(segment=segment)
    for each in range(5):
        make_message(make_quiet(course, 20, 12), cadence, NOW - 13 * DAY - each * HOUR)

    # 31 ends of days, 5 instants of entries, courses and their number, cadences, the last planned
    # message, enrollments, manual members, messages, earlier runs.
    with django_assert_max_num_queries(31 + 5 + 8):
        effect(segment, LONGER)


def test_nothing_is_written(course: Course, segment: Segment) -> None:
    make_message(make_quiet(course, 20, 12), make_cadence(segment=segment), NOW - 13 * DAY)

    with CaptureQueriesContext(
        connection,
    ) as asked:
        effect(segment, where("pace_percentile", "<", 0.5), SHORTER)

    first = {each["sql"].split()[0] for each in asked.captured_queries}
    assert first == {"SELECT", "WITH"}
    assert not any(word in each["sql"] for each in asked.captured_queries
                   for word in ("INSERT", "UPDATE ", "DELETE"))  # fmt: skip


# The button.

ADDRESS = reverse("interventions:try_rule")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def post(client: Client, rule: Any = LONGER, *, part: bool = True, **typed: Any) -> Any:
    text = rule if isinstance(rule, str) else json.dumps(rule)
    headers = {"HX-Request": "true"} if part else {}
    return client.post(ADDRESS, {"rule": text, **typed}, headers=headers)


def test_button_shows_the_numbers_and_saves_nothing(
    staff: Client, course: Course, segment: Segment
) -> None:
    page = staff.get(reverse("segmentation:rule", args=(segment.pk,))).text
    assert f'formaction="{ADDRESS}"' in page
    Course.objects.update(clock_stopped_at=NOW)
    make_message(make_quiet(course, 20, 12), make_cadence(segment=segment), NOW - 13 * DAY)

    shown = post(staff, segment=segment.pk).text

    cells = [cell.split("<")[0].rpartition(">")[2] for cell in shown.split("<td")[1:]]
    assert cells == ["1", "1", "1", "1", "1", "0", "0", "0"]
    assert "<!doctype html>" not in shown
    assert "<!doctype html>" in post(staff, segment=segment.pk, part=False).text
    segment.refresh_from_db()
    assert (segment.version, segment.rule) == (1, where("days_since_activity", ">=", 7))


def test_new_segment_is_tried_before_it_is_saved(staff: Client, course: Course) -> None:
    Course.objects.update(clock_stopped_at=NOW)
    make_quiet(course, 20)
    playbook = make_playbook(course)

    shown = post(staff, playbook=playbook.pk, segment="").text

    assert "The segment is not active, so nobody enters it as it is." in shown
    assert 'data-unit="enter as it is">0</td>' in shown
    assert 'data-unit="with the change">1</td>' in shown
    assert not Segment.objects.exists()
    assert post(staff, playbook=playbook.pk + 1).status_code == 404


def test_broken_rule_gets_a_sentence_at_its_place(staff: Client, segment: Segment) -> None:
    shown = post(staff, where("logins", ">=", "x", window=7), segment=segment.pk).text
    assert "Correct this first:" in shown
    assert "<li>The rule: rules[0]" in shown

    assert "The rule: " in post(staff, "{", segment=segment.pk).text
    members = post(staff, LONGER, leave_rule="[]", segment=segment.pk).text
    assert "<li>The rule by which members leave: " in members


def test_playbook_without_courses_has_nothing_to_try_it_on(staff: Client) -> None:
    segment = make_segment(make_playbook(), LONGER)

    assert "kept for none of your courses" in post(staff, segment=segment.pk).text


def test_only_those_who_may_change_the_segment_can_try_it(client: Client, segment: Segment) -> None:
    user = get_user_model().objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    client.force_login(user)

    assert post(client, segment=segment.pk).status_code == 403
    page = client.get(reverse("segmentation:rule", args=(segment.pk,))).text
    assert ADDRESS not in page
    assert client.get(ADDRESS).status_code == 405


def test_courses_and_segments_of_others_are_not_shown(
    staff: Client, course: Course, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    Course.objects.update(clock_stopped_at=NOW, title="Botany")
    mine = make_days(title="Zoology", clock_stopped_at=NOW)
    segment.playbook.courses.add(mine)
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(pk=mine.pk))

    shown = post(staff, segment=segment.pk).text
    assert ("Zoology" in shown, "Botany" in shown) == (True, False)

    foreign = make_segment(make_playbook(course), LONGER)
    assert post(staff, segment=foreign.pk).status_code == 404
