"""The page of a segment that shows what changed after its learners entered it."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from activity.access import COMMAND_LINE
from activity.models import Course, Enrollment, Event
from interventions.models import Cadence, Holdout
from interventions.queries.holdouts import held_out_by_course
from interventions.queries.segment_messages import held_out_entries
from segmentation.models import Segment
from tests.experiments.factories import assign, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment, make_item
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_delivery,
    make_run,
    make_transition,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
EARLY, LATE = datetime(2025, 9, 9, 12, tzinfo=UTC), datetime(2025, 9, 20, 12, tzinfo=UTC)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def course() -> Course:
    return make_course(title="Biology", clock_stopped_at=NOW)


@pytest.fixture
def segment(course: Course) -> Segment:
    return make_any_segment(course)


def enter(
    segment: Segment, course: Course, at: datetime, *, attempts: Sequence[int]
) -> list[Enrollment]:
    """Return learners who enter at the instant and so often attempt a quiz two days later."""
    quiz, people = make_item(course, "quiz"), [make_enrollment(course) for _ in attempts]
    events = []
    for each, number in zip(people, attempts, strict=True):
        make_transition(each, segment, occurred_at=at, cause="time")
        events += [
            Event(
                enrollment=each, item=quiz, verb="ATTEMPT_QUIZ", occurred_at=at + 2 * DAY,
                received_at=at + 2 * DAY, source="test", source_id=f"{each.pk}-{one}",
            )
            for one in range(number)
        ]  # fmt: skip
    Event.objects.bulk_create(events)
    return people


def send(cadence: Cadence, people: Sequence[Enrollment], at: datetime) -> None:
    for each in people:
        run = make_run(each, cadence, status="finished", ended_at=at)
        make_delivery(run=run, state="handed_off", claimed_at=at, finished_at=at)


def page(client: Client, segment: Segment, course: Course, **query: int) -> str:
    """Return the text of the page with single spaces."""
    address = reverse("before-after", args=(segment.pk,))
    answer = client.get(address, {"course": course.pk, **query})
    assert answer.status_code == 200
    plain = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(plain))


@pytest.mark.slow
def test_page_sets_learners_with_messages_beside_those_before_the_first(
    staff: Client, segment: Segment, course: Course
) -> None:
    enter(segment, course, EARLY, attempts=[1] * 6 + [0] * 6)
    since = enter(segment, course, LATE, attempts=[2] * 9 + [0] * 3)
    between = enter(segment, course, LATE - 2 * DAY, attempts=[1])
    send(make_cadence(segment=segment), since[:8], LATE + DAY / 24)
    controls = enter(segment, course, LATE, attempts=[0] * 2)
    experiment = running_experiment(segment=segment, name="Remind them")
    for each in controls:
        assign(experiment, "control", LATE, each)

    text = page(staff, segment, course)

    assert between
    assert "12 learners entered it before the first message, on Saturday 20 September 2025." in text
    assert "0.0% of learners attempted a quiz, and in the 7 days after 50.0%: +50.0 points" in text
    assert "Entered before the first message 12 0.0% 50.0% +50.0 points" in text
    assert "Entered since messages go out 12 0.0% 75.0% +75.0 points" in text
    assert "Difference of the two +25.0 points" in text
    assert "8 of the 12 who entered since messages go out got one" in text
    assert "1 came so shortly before the first message" in text
    assert "2 are of learners whom a control arm or a holdout keeps without messages" in text
    assert "Read the report first." in text
    assert "Remind them" in text
    assert not re.search(r"\b(effect|lift|impact)\b", text)
    # A longer window reaches before the course began and beyond the present.
    assert "Fewer than 5 learners can be counted" in page(staff, segment, course, days=28)


@pytest.mark.slow
def test_page_without_messages_shows_what_comes_by_itself(
    staff: Client, segment: Segment, course: Course
) -> None:
    assert "Fewer than 5 learners can be counted, so nothing is shown." in page(
        staff, segment, course
    )
    enter(segment, course, EARLY, attempts=[1] * 6 + [0] * 6)

    text = page(staff, segment, course)

    assert "No message has gone out on this segment, so all that follows came by itself." in text
    assert "Entered, and no message went out 12 0.0% 50.0%" in text
    assert "Difference of the two" not in text


@pytest.mark.slow
def test_learners_without_a_message_stand_in_for_a_history(
    staff: Client, segment: Segment, course: Course
) -> None:
    since = enter(segment, course, LATE, attempts=[1] * 9 + [0] * 5)
    send(make_cadence(segment=segment), since[:8], LATE)

    text = page(staff, segment, course)

    assert "In their place stand 6 learners who entered since and got no message" in text
    assert "Entered since, got a message 8 0.0% 100.0%" in text
    assert "“Entered since, got a message” is not known: fewer than 10 learners are counted" in text
    assert "The two changes cannot be compared" in text
    send(make_cadence(segment=segment), since[8:13], LATE)
    assert "Read nothing into it." in page(staff, segment, course)


@pytest.mark.slow
def test_learners_whom_the_rule_would_have_let_in_stand_in_first(
    staff: Client, segment: Segment, course: Course
) -> None:
    since = enter(segment, course, LATE, attempts=[1] * 5 + [0] * 5)
    send(make_cadence(segment=segment), since[:8], LATE)
    # The rule asks for an act on the day. They act once before and once after the 10th.
    for each in [make_enrollment(course) for _ in range(6)]:
        for day in (-3, 0, 3):
            act(each, occurred_at=EARLY + (1 + day) * DAY)
    # Of a learner with both entries only the earlier one counts.
    act(since[9], occurred_at=EARLY + DAY)

    text = page(staff, segment, course)

    assert "In their place stand 7 learners whom its rule, as it is now, would have let in" in text
    assert "Would have entered earlier 7 0.0% 0.0% +0.0 points" in text
    assert "Entered since messages go out 9 0.0% 55.6% +55.6 points" in text


@pytest.mark.slow
def test_holdout_is_compared_first(staff: Client, segment: Segment, course: Course) -> None:
    holdout = Holdout.objects.create(name="Control year", share="0.5", seed="h", starts_at=EARLY)
    people = enter(segment, course, EARLY, attempts=[1] * 40)
    found = held_out_entries({each.pk: EARLY for each in people}, course)
    (counted,) = held_out_by_course(holdout, viewer=COMMAND_LINE)
    assert found is not None
    assert len(found.held_out) == counted.held_out
    assert "Held out by chance" not in page(staff, segment, course)
    send(make_cadence(segment=segment), [each for each in people if each.pk in found.others], EARLY)

    text = page(staff, segment, course)

    assert f"{counted.held_out} were held out and {40 - counted.held_out} were not." in text
    assert "Quiz attempted 100.0% 100.0% +0.0 points" in text
    assert f"{counted.held_out} are of learners whom a control arm or a holdout keeps" in text
    assert held_out_entries({each.pk: EARLY - DAY for each in people}, course) is None
    # Learners whom another holdout keeps without messages are in neither group.
    Holdout.objects.create(name="Other", share="0.5", seed="i", starts_at=EARLY - DAY)
    other = held_out_entries({each.pk: EARLY for each in people}, course)
    assert other is not None
    assert 0 < len(other.held_out) + len(other.others) < 40


def test_page_needs_the_rights_to_see_segments_and_experiments(
    client: Client, segment: Segment
) -> None:
    user = User.objects.create_user("reader", is_staff=True)
    client.force_login(user)
    address = reverse("before-after", args=(segment.pk,))
    user.user_permissions.add(Permission.objects.get(codename="view_segment"))

    own_page = reverse("segment", args=(segment.pk,))
    assert client.get(address).status_code == 403
    assert address not in client.get(own_page).text
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    assert client.get(address).status_code == 200
    assert address in client.get(own_page).text
    assert client.post(address).status_code == 405
    client.logout()
    assert client.get(address).status_code == 302
