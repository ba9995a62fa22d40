"""What caused a message, in words to the learner."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import translation

from activity.models import Section
from interventions.models import Delivery
from interventions.queries.context import message_context
from interventions.render.context import SAMPLE, MessageContext
from interventions.render.mail import Rendered, render_message
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

VIEWS = "you opened 5 pages and videos in the last 14 days"
MODULE = ModuleFacts("Module 2", videos_played=3, quizzes_untried=1)


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
            f"{VIEWS} and you have not tried the quizzes of what you worked on",
        ),
        (
            signals(activities_completed_rate_14=0.4),
            "a part of the work of the last 14 days is still open",
        ),
        ({'{"field":"quiz_pass_rate"}': 0.91}, "you passed 91% of your quizzes"),
        ({'{"field":"quiz_pass_rate"}': 0.2}, ""),
        (signals(quiz_pass_rate_14=0.2), "some quizzes of the last 14 days were hard"),
        (signals(quiz_pass_rate_14=None, pace_percentile_7=0.1), ""),
        (signals(active_days_1=1), ""),
        ({'{"arg":"region","field":"trait"}': "Wales"}, ""),
    ],
)
def test_signals_are_told_as_clauses(given: dict, clause: str) -> None:
    assert why_in_words(given, None) == clause


def test_a_module_that_was_watched_without_its_quiz_is_named() -> None:
    about = signals(content_views_14=5, quiz_attempt_rate_14=0)

    assert why_in_words(about, MODULE) == (
        "you watched 3 videos of Module 2 and have not tried its quiz"
    )
    assert "a video of Module 2" in why_in_words(about, replace(MODULE, videos_played=1))
    for other in (replace(MODULE, videos_played=0), replace(MODULE, quizzes_untried=0)):
        assert why_in_words(about, other).startswith("you opened 5 pages")
    assert why_in_words(signals(active_days_7=3), MODULE).startswith("you were active")


def test_days_without_activity_are_counted_up_to_the_message() -> None:
    away = {'{"field":"days_since_activity"}': 7.5}

    assert why_in_words(away, None, 4.2) == "you have not been in the course for 11 days"


def test_every_sentence_is_told_in_german_with_all_its_blanks() -> None:
    blanks = {"count": 3, "days": 14, "percent": 90, "module": "M", "first": "a", "second": "b"}
    with translation.override("de"):
        told = [translation.gettext(each) % blanks for each in SENTENCES]

    assert not [each for each in told if "you " in each]


def mail(body: str = "<p>Hello</p>", *, locale: str = "en", **facts: object) -> Rendered:
    context = replace(SAMPLE, **facts)
    return render_message(subject="x", body=body, context=context, postal_address="", locale=locale)


def test_the_mail_says_it_where_staff_gave_no_reason_of_their_own() -> None:
    assert "It comes now because you watched 3 videos of Module 3" in mail(reason="").text
    assert "3 videos" not in mail().text
    assert "It comes now" not in mail(reason="", signals={}).text


def test_a_text_can_say_it_in_its_own_language() -> None:
    rendered = mail("<p>{% if why %}{{ why }}{% endif %}.</p>", locale="de")

    assert "<p" in rendered.html
    assert rendered.text.startswith("Sie haben 3 Videos von Module 3 angesehen")


def test_the_title_of_a_module_brings_no_html_and_no_header() -> None:
    module = ModuleFacts("<b>\r\nBcc: x@example.org</b>", videos_played=2, quizzes_untried=1)

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
    told = signals(content_views_14=2, quiz_attempt_rate_14=0)
    for signals_then, days in (({}, 9), (told, 1)):
        entered_at = NOW - timedelta(days=days)
        Membership.objects.create(
            segment=segment, enrollment=ana, entered_at=entered_at, version=1, signals=signals_then,
            left_at=None if signals_then else NOW - timedelta(days=8),
        )  # fmt: skip

    context = context_of(make_delivery(ana, make_cadence(segment=segment)))

    assert context.why == "you watched 2 videos of Module 2 and have not tried its quiz"
    assert context.teacher_name == "Tom Okafor"
    assert context.days_in_segment == 1
    left = make_delivery(ana, make_cadence(segment=segment, trigger="leave"))
    assert context_of(left).why == ""


def context_of(delivery: Delivery) -> MessageContext:
    rows = Delivery.objects.select_related("run__cadence", "enrollment__course")
    return message_context(rows.get(pk=delivery.pk), delivery.learner, now=NOW)
