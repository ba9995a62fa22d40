"""Every signal in a small example that can be checked by hand. The day D is 2025-09-30."""

from datetime import UTC, date, datetime, timedelta

import pytest

from common.clock import local_midnight
from segmentation.queries import read_signals
from segmentation.signals import SIGNALS, SIGNALS_BY_NAME, SignalRef, usual_refs
from tests.factories import NOW, act, make_course, make_enrollment, make_item, make_learner

pytestmark = pytest.mark.django_db


def ago(**spent):
    return NOW - timedelta(**spent)


def ref(name, window=None, *args):
    return SignalRef(SIGNALS_BY_NAME[name], window, args)


def read(enrollment, name, window=None, *args, as_of=NOW):
    """Return one signal of the enrollment."""
    (row,) = read_signals(
        enrollment.course,
        [ref(name, window, *args)],
        as_of=as_of,
        enrollment_ids=[enrollment.pk],
    )
    (value,) = row.signals.values()
    return value


@pytest.fixture
def learner():
    return make_enrollment()


@pytest.fixture
def course(learner):
    return learner.course


def test_active_days_counts_dates_with_an_act(learner):
    for spent in (ago(hours=1), ago(hours=2), ago(days=2), ago(days=6, hours=3), ago(days=7)):
        act(learner, occurred_at=spent)
    assert read(learner, "active_days", 7) == 3
    assert read(learner, "active_days", 8) == 4
    assert read(learner, "active_days", 1) == 1


def test_a_mail_makes_no_day_active(learner):
    act(learner, "EMAIL_SENT")
    act(learner, "UNSUBSCRIBED")
    assert read(learner, "active_days", 7) == 0


@pytest.mark.parametrize(
    ("local", "days"), [("2025-10-19T23:59:59+01:00", 0), ("2025-10-20T00:00:00+01:00", 1)]
)
def test_the_last_days_begin_at_local_midnight_over_a_clock_change(learner, local, days):
    # D is 26 October, a day of 25 hours. The last 7 days begin on 20 October in summer time.
    act(learner, occurred_at=datetime.fromisoformat(local))
    as_of = datetime(2025, 10, 26, 23, 30, tzinfo=UTC)
    assert read(learner, "active_days", 7, as_of=as_of) == days


@pytest.mark.parametrize(
    ("name", "verbs"),
    [
        ("logins", {"LOGIN": 2}),
        ("video_plays", {"PLAY_VIDEO": 3}),
        ("downloads", {"DOWNLOAD_RESOURCE": 4}),
        ("assignments_started", {"START_ASSIGNMENT": 5}),
        ("quiz_attempts", {"ATTEMPT_QUIZ": 6}),
        (
            "content_views",
            {"VIEW_MODULE": 1, "VIEW_ITEM": 2, "PLAY_VIDEO": 3, "DOWNLOAD_RESOURCE": 4},
        ),
    ],
)
def test_totals_add_the_counts_of_their_verbs_alone(learner, course, name, verbs):
    item = make_item(course, "quiz")
    for verb in ("SUBMIT_ASSIGNMENT", "COMPLETE_ITEM", "PURCHASE"):
        act(learner, verb, item=item)
    for verb, count in verbs.items():
        act(learner, verb, item=item, count=count)
        act(learner, verb, item=item, count=50, occurred_at=ago(days=7))
    assert read(learner, name, 7) == sum(verbs.values())
    assert read(learner, name, 8) == sum(verbs.values()) + 50 * len(verbs)


def test_total_without_an_act_is_zero_and_not_unknown(learner):
    assert read(learner, "quiz_attempts", 7) == 0


def test_a_day_with_two_midnights_begins_at_the_first():
    # In Havana the clocks go back from 01:00 to 00:00 on 2 November 2025: 04:30 UTC is in the first
    # of two hours after midnight, and PostgreSQL takes midnight for 05:00 UTC.
    course = make_course(time_zone="America/Havana", ends_on=date(2025, 12, 1))
    learner, module = make_enrollment(course), make_item(course, "module")
    act(
        learner,
        "COMPLETE_MODULE",
        item=module,
        occurred_at=datetime(2025, 11, 2, 4, 30, tzinfo=UTC),
    )
    as_of = datetime(2025, 11, 2, 20, 0, tzinfo=UTC)
    assert read(learner, "active_days", 1, as_of=as_of) == 1
    assert read(learner, "modules_completed", 1, as_of=as_of) == 1


def test_quiz_attempts_change_compares_with_the_days_before(learner, course):
    quiz = make_item(course, "quiz")
    act(learner, "ATTEMPT_QUIZ", item=quiz, count=2)
    act(learner, "ATTEMPT_QUIZ", item=quiz, count=5, occurred_at=ago(days=7))
    act(learner, "ATTEMPT_QUIZ", item=quiz, count=9, occurred_at=ago(days=14))
    assert read(learner, "quiz_attempts_change", 7) == -3
    assert read(learner, "quiz_attempts_change", 14) == 7 - 9


def test_quiz_attempt_rate_is_of_the_quizzes_in_touched_modules(learner, course):
    touched, other = make_item(course, "module"), make_item(course, "module")
    quizzes = [make_item(course, "quiz", parent=touched) for _ in range(4)]
    make_item(course, "quiz", parent=touched, assigned_on=date(2025, 10, 1))
    make_item(course, "quiz", parent=other)
    act(learner, "VIEW_MODULE", item=touched)
    assert read(learner, "quiz_attempt_rate", 7) == 0.0
    act(learner, "ATTEMPT_QUIZ", item=quizzes[0])
    act(learner, "ATTEMPT_QUIZ", item=quizzes[0])
    act(learner, "ATTEMPT_QUIZ", item=quizzes[1], occurred_at=ago(days=7))
    assert read(learner, "quiz_attempt_rate", 7) == 0.25
    assert read(learner, "quiz_attempt_rate", 14) == 0.5


def test_quiz_that_is_due_far_ahead_does_not_count(learner, course):
    module = make_item(course, "module")
    make_item(course, "quiz", parent=module, due_on=NOW.date() + timedelta(days=8))
    act(learner, "VIEW_MODULE", item=module)
    assert read(learner, "quiz_attempt_rate", 7) is None
    assert read(learner, "quiz_attempt_rate", 7, as_of=NOW + timedelta(days=1)) == 0.0
    far = make_item(course, "quiz", parent=module, due_on=NOW.date() + timedelta(days=9))
    act(learner, "ATTEMPT_QUIZ", item=far)
    assert read(learner, "quiz_attempt_rate", 7) is None


def test_quiz_attempt_rate_is_unknown_without_a_touched_module(learner, course):
    make_item(course, "quiz", parent=make_item(course, "module"))
    loose = make_item(course, "quiz")
    act(learner, "ATTEMPT_QUIZ", item=loose)
    assert read(learner, "quiz_attempt_rate", 7) is None


def test_a_module_without_quizzes_leaves_the_attempt_rate_unknown(learner, course):
    act(learner, "VIEW_MODULE", item=make_item(course, "module"))
    assert read(learner, "quiz_attempt_rate", 7) is None


def test_pass_rate_and_average_are_over_scored_attempts(learner, course):
    quiz = make_item(course, "quiz")
    act(learner, "ATTEMPT_QUIZ", item=quiz, score=0.5)
    act(learner, "ATTEMPT_QUIZ", item=quiz, score=0.4)
    act(learner, "ATTEMPT_QUIZ", item=quiz)
    act(learner, "ATTEMPT_QUIZ", item=quiz, score=0.9, occurred_at=ago(days=20))
    assert read(learner, "quiz_pass_rate", 7) == 0.5
    assert read(learner, "quiz_pass_rate") == 2 / 3
    assert read(learner, "average_score", 7) == 0.45
    assert read(learner, "average_score") == 1.8 / 3


def test_rates_without_a_scored_attempt_are_unknown(learner, course):
    act(learner, "ATTEMPT_QUIZ", item=make_item(course, "quiz"))
    assert read(learner, "quiz_pass_rate") is None
    assert read(learner, "average_score", 7) is None


def test_modules_completed_counts_first_completions(learner, course):
    early, late = make_item(course, "module"), make_item(course, "module")
    act(learner, "COMPLETE_MODULE", item=early, occurred_at=ago(days=10))
    act(learner, "COMPLETE_MODULE", item=early, occurred_at=ago(days=1))
    act(learner, "COMPLETE_MODULE", item=late)
    act(learner, "COMPLETE_ITEM", item=make_item(course, "page"))
    assert read(learner, "modules_completed", 7) == 1
    assert read(learner, "modules_completed", 11) == 2
    assert read(learner, "modules_completed") == 2


def test_completion_rate_is_of_the_assigned_modules_and_never_above_one(learner, course):
    assert read(learner, "completion_rate") is None
    assigned = [make_item(course, "module", assigned_on=NOW.date()) for _ in range(2)]
    ahead = make_item(course, "module", assigned_on=date(2025, 10, 1))
    for module in (assigned[0], ahead):
        act(learner, "COMPLETE_MODULE", item=module)
    assert read(learner, "completion_rate") == 0.5
    assert read(learner, "modules_open") == 1
    act(learner, "COMPLETE_MODULE", item=assigned[1])
    assert read(learner, "completion_rate") == 1.0
    assert read(learner, "modules_open") == 0


COMPLETES = {"assignment": "SUBMIT_ASSIGNMENT", "quiz": "ATTEMPT_QUIZ"}


def make_known(course, kind, **days):
    """Return an activity that a classmate completed long ago."""
    item = make_item(course, kind, **days)
    verb = COMPLETES.get(kind, "COMPLETE_ITEM")
    act(make_enrollment(course), verb, item=item, occurred_at=ago(days=28))
    return item


def test_activities_are_owed_after_the_grace_of_the_course(learner, course):
    make_known(course, "assignment", due_on=date(2025, 9, 29))
    assert read(learner, "activities_completed_rate", 7) is None
    make_known(course, "assignment", due_on=date(2025, 9, 28))
    assert read(learner, "activities_completed_rate", 7) == 0.0
    make_known(course, "module", due_on=date(2025, 9, 28))
    done = make_item(course, "page", assigned_on=date(2025, 9, 22))
    make_known(course, "quiz", due_on=date(2025, 9, 21))
    act(learner, "COMPLETE_ITEM", item=done, occurred_at=ago(days=3))
    assert read(learner, "activities_completed_rate", 7) == 1 / 2
    assert read(learner, "activities_completed_rate", 8) == 1 / 3
    assert read(learner, "activities_completed_rate") == 1 / 3
    assert read(learner, "activities_overdue") == 2
    course.grace_days = 1
    course.save()
    assert read(learner, "activities_completed_rate", 7) == 0.0
    assert read(learner, "activities_overdue") == 3


def test_activity_that_nobody_had_completed_when_the_day_began_is_not_owed(learner, course):
    # An exam that is held offline must not put a whole class at risk on its day.
    exam = make_item(course, "assignment", due_on=date(2025, 9, 20))
    first = make_enrollment(course)
    midnight = local_midnight(NOW.date(), "Europe/London")
    act(first, "SUBMIT_ASSIGNMENT", item=exam, occurred_at=midnight)
    for each in (learner, first):
        assert read(each, "activities_completed_rate") is None
        assert read(each, "activities_overdue") == 0
    tomorrow = NOW + timedelta(days=1)
    assert read(learner, "activities_completed_rate", as_of=tomorrow) == 0.0
    assert read(learner, "activities_overdue", as_of=tomorrow) == 1
    assert read(first, "activities_completed_rate", as_of=tomorrow) == 1.0


@pytest.mark.parametrize(
    ("kind", "verb", "counts"),
    [
        ("assignment", "SUBMIT_ASSIGNMENT", True),
        ("assignment", "COMPLETE_ITEM", False),
        ("quiz", "ATTEMPT_QUIZ", True),
        ("quiz", "COMPLETE_ITEM", False),
        ("video", "COMPLETE_ITEM", True),
        ("video", "PLAY_VIDEO", False),
    ],
)
def test_an_activity_is_completed_by_its_own_verb(learner, course, kind, verb, counts):
    item = make_known(course, kind, due_on=date(2025, 9, 28))
    act(learner, verb, item=item)
    assert read(learner, "activities_completed_rate", 7) == float(counts)
    assert read(learner, "activities_overdue") == (not counts)


def test_activity_due_before_the_enrollment_is_not_owed():
    enrolled_at = datetime(2025, 9, 27, 22, 30, tzinfo=UTC)  # 23:30 on that day in London
    learner = make_enrollment(enrolled_at=enrolled_at)
    before = make_known(learner.course, "quiz", due_on=date(2025, 9, 26))
    act(learner, "ATTEMPT_QUIZ", item=before)
    assert read(learner, "activities_completed_rate", 7) is None
    assert read(learner, "activities_completed_rate") is None
    owed = make_known(learner.course, "quiz", due_on=date(2025, 9, 27))
    make_known(learner.course, "quiz", due_on=date(2025, 9, 28))
    act(learner, "ATTEMPT_QUIZ", item=owed)
    assert read(learner, "activities_completed_rate", 7) == 0.5


@pytest.mark.parametrize(
    ("name", "verb", "kind"),
    [
        ("days_since_activity", "LOGIN", None),
        ("days_since_quiz_attempt", "ATTEMPT_QUIZ", "quiz"),
        ("days_since_completion", "COMPLETE_MODULE", "module"),
    ],
)
def test_days_since_are_exact_days_of_24_hours(name, verb, kind):
    # Over the night of 25 October the local clock goes back: 7 dates later is 7 days and an hour.
    learner = make_enrollment()
    item = make_item(learner.course, kind) if kind else None
    act(learner, verb, item=item, occurred_at=datetime.fromisoformat("2025-10-19T12:00+01:00"))
    as_of = datetime.fromisoformat("2025-10-26T12:00:00.000001+00:00")
    assert read(learner, name, as_of=as_of) == (7 * 86_400 + 3600.000001) / 86_400


def test_an_attempt_that_names_no_quiz_is_the_last_attempt_too(learner, course):
    act(learner, "ATTEMPT_QUIZ", item=make_item(course, "quiz"), occurred_at=ago(days=5))
    act(learner, "ATTEMPT_QUIZ", occurred_at=ago(days=2, hours=12))
    act(learner, occurred_at=ago(days=1))
    act(learner, "EMAIL_OPENED")
    assert read(learner, "quiz_attempts", 7) == 2
    assert read(learner, "days_since_quiz_attempt") == 2.5
    # For an instant before the last event, the event log gives the same result.
    assert read(learner, "days_since_quiz_attempt", as_of=ago(days=3)) == 2.0


def test_days_since_begin_with_the_later_of_enrollment_and_course_start():
    course = make_course()
    early = make_enrollment(course, enrolled_at=ago(days=90))
    late = make_enrollment(course, enrolled_at=ago(days=2, hours=12))
    starts_at = local_midnight(course.starts_on, course.time_zone)
    act(early, occurred_at=starts_at - timedelta(days=2))
    assert read(late, "days_since_activity") == 2.5
    assert read(early, "days_since_activity") == (NOW - starts_at).total_seconds() / 86_400


def test_a_module_is_open_until_14_days_after_its_due_day(learner, course):
    make_item(course, "module", due_on=date(2025, 9, 16))
    make_item(course, "module")
    assert read(learner, "modules_open") == 2
    closed = make_item(course, "module", due_on=date(2025, 9, 15))
    assert read(learner, "modules_open") == 2
    act(learner, "COMPLETE_MODULE", item=closed)
    assert read(learner, "modules_open") == 2
    assert read(learner, "completion_rate") == 1 / 3
    assert read(learner, "modules_open", as_of=NOW + timedelta(days=1)) == 1


def test_stalled_modules_are_begun_open_and_untouched(learner, course):
    names = ("stalled", "fresh", "done", "ahead", "never begun")
    modules = {name: make_item(course, "module") for name in names}
    modules["ahead"].assigned_on = date(2025, 10, 1)
    modules["ahead"].save()
    page = make_item(course, "page", parent=modules["stalled"])
    edge = local_midnight(date(2025, 9, 24), "Europe/London")  # the first of the last 7 days
    act(learner, "VIEW_ITEM", item=page, occurred_at=edge - timedelta(microseconds=1))
    act(learner, "VIEW_MODULE", item=modules["fresh"], occurred_at=edge)
    act(learner, "COMPLETE_MODULE", item=modules["done"], occurred_at=edge - timedelta(days=1))
    act(learner, "VIEW_MODULE", item=modules["ahead"], occurred_at=edge - timedelta(days=1))
    assert read(learner, "modules_stalled", 7) == 1
    assert read(learner, "modules_stalled", 6) == 2
    assert read(learner, "modules_stalled", 8) == 0


def test_traits_have_their_stored_value_and_are_unknown_if_missing():
    learner = make_enrollment(learner=make_learner(traits={"region": "Wales", "age": 35}))
    assert read(learner, "trait", None, "region") == "Wales"
    assert read(learner, "trait", None, "age") == 35
    assert read(learner, "trait", None, "income") is None


def test_a_trait_of_the_enrollment_is_read_before_the_learners():
    # The learner's row has the traits of the latest run. An earlier run must not use them.
    person = make_learner(traits={"earlier_attempts": 1, "region": "Wales", "age_band": "35-55"})
    first = make_enrollment(learner=person, traits={"earlier_attempts": 0, "age_band": None})
    second = make_enrollment(learner=person)
    assert read(first, "trait", None, "earlier_attempts") == 0
    assert read(first, "trait", None, "age_band") is None
    assert read(first, "trait", None, "region") == "Wales"
    assert read(second, "trait", None, "earlier_attempts") == 1


def test_each_signal_that_can_be_unknown_says_why(learner):
    # Nothing is known of a learner without acts, in a course without items.
    first = ref("days_since_first_event", None, "PURCHASE", "", "", "", "", "")
    refs = [*usual_refs(), ref("trait", None, "region"), first]
    (row,) = read_signals(learner.course, refs, as_of=NOW, enrollment_ids=[learner.pk])

    unknown = {each.signal.name for each in refs if row.signals[each.identity] is None}
    assert unknown == {signal.name for signal in SIGNALS if signal.unknown}
    assert "quiz_attempt_rate" in unknown
