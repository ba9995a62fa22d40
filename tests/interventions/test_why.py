"""What caused a message, in words to the learner."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import translation

from activity.models import Enrollment, Section
from interventions.models import Delivery
from interventions.queries.context import message_context
from interventions.render.context import SAMPLE, MessageContext
from interventions.render.mail import Rendered, render_message
from interventions.render.still_true import Entry, still_true
from interventions.render.why import SENTENCES, ModuleFacts, why_in_words
from segmentation.models import Membership
from tests.factories import NOW, act, make_item
from tests.interventions.factories import (
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
)
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

VIEWS = "you opened pages, videos or files in the last 14 days"
MODULE = ModuleFacts("Module 2", videos_opened=3, has_untried_quiz=True)
ZONE = "Europe/Brussels"


def signals(**values: object) -> dict[str, object]:
    """Return signals as a membership has them: content_views_14=5."""
    found = {}
    for name, value in values.items():
        field, _, window = name.rpartition("_")
        found[f'{{"field":"{field}","window":{window}}}'] = value
    return found


@pytest.mark.parametrize(
    ("given", "clause"),
    [
        ({}, ""),
        (signals(active_days_7=3), "you were active on 3 of the last 7 days"),
        (signals(active_days_7=0), ""),
        ({'{"field":"days_since_activity"}': 8.9}, "you have not been in the course for 8 days"),
        (signals(modules_completed_14=1), "you completed a module in the last 14 days"),
        (signals(modules_completed_14=2), "you completed 2 modules in the last 14 days"),
        (signals(quiz_attempts_7=0), "you tried no quiz in the last 7 days"),
        (
            signals(content_views_14=5, quiz_attempt_rate_14=0.0),
            f"{VIEWS} and you tried no quiz of what you worked on in the last 14 days",
        ),
        (
            signals(activities_completed_rate_14=0.4),
            "a part of the work of the last 14 days is still open",
        ),
        ({'{"field":"quiz_pass_rate"}': 0.29 + 0.7}, "you passed 99% of your scored quiz attempts"),
        ({'{"field":"quiz_pass_rate"}': 0.997}, "you passed 99% of your scored quiz attempts"),
        (
            signals(quiz_pass_rate_14=0.9),
            "you passed 90% of your scored quiz attempts of the last 14 days",
        ),
        (
            signals(quiz_pass_rate_14=0.9, activities_completed_rate_14=0.4),
            "a part of the work of the last 14 days is still open",
        ),
        ({'{"field":"quiz_pass_rate"}': 0.2}, ""),
        (signals(quiz_pass_rate_14=0.2), "some quizzes of the last 14 days were hard"),
        (signals(quiz_pass_rate_14=None, pace_percentile_7=0.1), ""),
        (signals(active_days_1=1), ""),
        ({'{"arg":"region","field":"trait"}': "Wales"}, ""),
    ],
)
def test_signals_are_told_as_clauses(given: dict, clause: str) -> None:
    assert why_in_words(given, None) == clause


def test_a_module_whose_videos_were_opened_without_its_quiz_is_named() -> None:
    about = signals(content_views_14=5, quiz_attempt_rate_14=0)

    assert why_in_words(about, MODULE) == (
        "you opened 3 videos of Module 2 and have not tried its quiz"
    )
    assert "a video of Module 2" in why_in_words(about, replace(MODULE, videos_opened=1))
    for other in (replace(MODULE, videos_opened=0), replace(MODULE, has_untried_quiz=False)):
        assert why_in_words(about, other).startswith(VIEWS)
    assert why_in_words(signals(active_days_7=3), MODULE).startswith("you were active")


def told(then: dict, *, days_ago: float = 0, **acts: float) -> str:
    """Return what is said of signals from days ago, with the last acts so many days ago."""
    instants = {name: NOW - timedelta(days=days) for name, days in acts.items()}
    last = {"last_act_at": None, "last_attempt_at": None} | instants
    entry = Entry(NOW - timedelta(days=days_ago), **last)
    return why_in_words(still_true(then, entry, now=NOW, zone=ZONE), None)


def test_days_without_activity_are_counted_up_to_the_message() -> None:
    away = {'{"field":"days_since_activity"}': 7.5}

    assert told(away, days_ago=4.2) == "you have not been in the course for 11 days"
    assert told(away, days_ago=21, last_act_at=3) == "you have not been in the course for 3 days"
    assert told(away, days_ago=21, last_act_at=1 / 24) == ""
    untried = {'{"field":"days_since_quiz_attempt"}': 7.5}
    tried = told(untried, days_ago=21, last_act_at=0, last_attempt_at=5)
    assert tried == "you have not tried a quiz for 5 days"


def test_what_the_last_days_were_like_is_told_only_while_nothing_can_have_changed() -> None:
    was = signals(active_days_7=3, quiz_attempts_7=0)
    active, no_quiz = (
        "you were active on 3 of the last 7 days",
        "you tried no quiz in the last 7 days",
    )

    assert told(was, days_ago=1 / 24, last_act_at=1 / 12) == f"{active} and {no_quiz}"
    assert told(was, days_ago=21, last_act_at=22) == ""
    assert told(was, days_ago=1) == ""
    assert told(was, days_ago=1 / 12, last_act_at=1 / 24) == ""
    passed = {'{"field":"quiz_pass_rate"}': 0.9}
    assert told(passed, days_ago=21, last_act_at=22).startswith("you passed 90%")
    assert told(passed, days_ago=21, last_act_at=20) == ""


def test_an_attempt_that_arrived_late_is_not_denied() -> None:
    none = signals(quiz_attempts_7=0, quiz_attempt_rate_14=0)

    assert told(none, last_act_at=20, last_attempt_at=20).startswith("you tried no quiz in")
    assert told(none, last_act_at=8, last_attempt_at=8) == "you tried no quiz in the last 7 days"
    assert told(none, last_act_at=1, last_attempt_at=1) == ""
    assert told(signals(quiz_attempts_7=2), last_attempt_at=1).startswith("you tried a quiz 2")


def test_every_sentence_is_told_in_german_with_all_its_blanks() -> None:
    blanks = {"count": 3, "days": 14, "percent": 90, "module": "M", "first": "a", "second": "b"}
    with translation.override("de"):
        told = [translation.gettext(each) % blanks for each in SENTENCES]

    assert not [each for each in told if "you " in each]


def mail(body: str = "<p>Hello</p>", *, locale: str = "en", **facts: object) -> Rendered:
    context = replace(SAMPLE, **facts)
    return render_message(subject="x", body=body, context=context, postal_address="", locale=locale)


def test_the_mail_says_it_where_staff_gave_no_reason_of_their_own() -> None:
    assert "It comes now because you opened 3 videos of Module 3" in mail(reason="").text
    assert "3 videos" not in mail().text
    assert "It comes now" not in mail(reason="", signals={}).text


def test_a_text_can_say_it_in_its_own_language() -> None:
    rendered = mail("<p>{% if why %}{{ why }}{% endif %}.</p>", locale="de")

    assert "<p" in rendered.html
    assert rendered.text.startswith("Sie haben 3 Videos von Module 3 geöffnet")


def test_the_title_of_a_module_brings_no_html_and_no_header() -> None:
    module = ModuleFacts("<b>\r\nBcc: x@example.org</b>", videos_opened=2, has_untried_quiz=True)

    rendered = mail("<p>{{ why | default: '' }}</p>", reason="", module=module)

    assert "<b>" not in rendered.html
    assert "&lt;b&gt; Bcc:" in rendered.html


@pytest.mark.django_db
def test_the_variables_hold_what_the_learner_did_and_who_teaches() -> None:
    course = make_live_course()
    ana = make_evaluated(course)
    ana.section = Section.objects.create(course=course, key="a", teacher="Tom Okafor")
    ana.save()
    module = make_item(course, "module", title="Module 2")
    for kind in ("video", "video", "quiz"):
        make_item(course, kind, parent=module)
    videos = module.children.filter(kind="video")
    for video in videos:
        act(ana, "PLAY_VIDEO", item=video, occurred_at=NOW)
    segment = make_segment(make_playbook(course), ACTED_TODAY)
    since = signals(content_views_14=2, quiz_attempt_rate_14=0)
    for signals_then, days in (({}, 9), (since, 1)):
        entered_at = NOW - timedelta(days=days)
        Membership.objects.create(
            segment=segment, enrollment=ana, entered_at=entered_at, version=1, signals=signals_then,
            left_at=None if signals_then else NOW - timedelta(days=8),
        )  # fmt: skip

    context = context_of(make_delivery(ana, make_cadence(segment=segment)))

    assert context.why == "you opened 2 videos of Module 2 and have not tried its quiz"
    assert context.teacher_name == "Tom Okafor"
    left = make_delivery(ana, make_cadence(segment=segment, trigger="leave"))
    assert context_of(left).why == ""


@pytest.mark.django_db
def test_a_quiz_is_named_as_not_tried_only_if_it_is_the_only_one_of_the_open_module() -> None:
    ana = make_evaluated(make_live_course())
    over = NOW.date() - timedelta(days=15)
    gone = make_item(ana.course, "module", title="Gone", due_on=over)
    module = make_item(ana.course, "module", title="Module 2")
    for parent in (gone, module):
        for kind in ("video", "quiz"):
            make_item(ana.course, kind, parent=parent)
    act(ana, "VIEW_ITEM", item=module.children.get(kind="video"), occurred_at=NOW)
    # The module that was touched last is over, and the message leads to the other one.
    act(ana, "PLAY_VIDEO", item=gone.children.get(kind="video"), occurred_at=NOW)
    delivery = entered(ana, signals(content_views_14=2, quiz_attempt_rate_14=0))

    context = context_of(delivery)
    assert context.why == "you opened a video of Module 2 and have not tried its quiz"
    assert context.next_item is not None
    assert context.next_item.title == "Module 2"
    make_item(ana.course, "quiz", parent=module)
    assert context_of(delivery).why == ""


@pytest.mark.django_db
def test_a_learner_who_came_back_is_not_told_to_have_been_away() -> None:
    ana = make_evaluated(make_live_course())
    delivery = entered(ana, {'{"field":"days_since_activity"}': 8.0}, days_ago=21)
    assert context_of(delivery).why == "you have not been in the course for 29 days"

    act(ana, "LOGIN", occurred_at=NOW - timedelta(hours=1))

    assert context_of(delivery).why == ""


def entered(enrollment: Enrollment, then: dict[str, object], *, days_ago: int = 1) -> Delivery:
    """Make a message of a segment that the enrollment entered with the signals days ago."""
    segment = make_segment(make_playbook(enrollment.course), ACTED_TODAY)
    Membership.objects.create(
        segment=segment, enrollment=enrollment, entered_at=NOW - timedelta(days=days_ago),
        version=1, signals=then,
    )  # fmt: skip
    return make_delivery(enrollment, make_cadence(segment=segment))


def context_of(delivery: Delivery) -> MessageContext:
    rows = Delivery.objects.select_related("run__cadence", "enrollment__course")
    return message_context(rows.get(pk=delivery.pk), delivery.learner, now=NOW)
