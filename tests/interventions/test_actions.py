"""The messages of a shipped playbook are installed as drafts, and work once activated."""

from datetime import timedelta

import pytest
from django.test import Client

from interventions.models import Cadence, Delivery, MessageTemplate, Run, TemplateText
from interventions.operations import (
    install_guarded,
    save_category,
    save_template,
    set_cadence_status,
    shipped_actions,
)
from interventions.operations.actions import _TEXTS
from interventions.stages.plan import plan_due
from interventions.stages.react import react_due
from segmentation.operations import read_shipped
from tests.factories import NOW, act, make_course, make_item
from tests.interventions.factories import (
    dispatch,
    make_evaluated,
    make_live_course,
    make_transition,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
FIVE = "five-segments"
HOUR = timedelta(hours=1)


def install(*courses, key=None):
    return install_guarded(FIVE, now=NOW, course_keys=[each.key for each in courses], key=key)


def test_each_segment_gets_its_messages_as_drafts_once() -> None:
    course = make_course()

    first, second = install(course), install(course)

    assert len(first.drafts) == len(shipped_actions())
    assert second.drafts == []
    assert set(Cadence.objects.values_list("status", flat=True)) == {"draft"}
    segments = set(Cadence.objects.values_list("segment__key", flat=True))
    assert segments == {each["key"] for each in read_shipped(FIVE)["segments"]}


def test_an_installation_keeps_edited_drafts_and_texts() -> None:
    course = make_course()
    install(course)
    template = MessageTemplate.objects.get(key="small-start")
    texts = {"en": ("Our own words", "<p>Come back.</p>")}
    save_template(template.key, name="Ours", category=template.category, texts=texts)
    Cadence.objects.filter(name="One small start").update(name="Ours")
    Cadence.objects.filter(name="A stretch activity").update(key="moved")

    made = install(course).drafts

    assert [each.name for each in made] == ["A stretch activity"]
    assert Cadence.objects.filter(name="Ours").exists()
    assert TemplateText.objects.get(template=template, version=2).subject == "Our own words"
    assert MessageTemplate.objects.get(pk=template.pk).version == 2


def test_another_playbook_gets_cadences_of_its_own_with_the_same_texts() -> None:
    first = install(make_course()).drafts
    second = install(make_course(), key="five-segments-own").drafts

    assert len(first) == len(second)
    templates = [{step.template_id for step in each.steps.all()} for each in (first[0], second[0])]
    assert templates[0] == templates[1]


def test_a_template_of_staff_with_the_same_key_is_left_alone() -> None:
    category = save_category("own", name="Own")
    texts = {"en": ("Mine", "<p>Mine</p>")}
    own = save_template("stretch", name="Mine", category=category, texts=texts)

    install(make_course())

    own.refresh_from_db()
    assert (own.name, own.version, own.category) == ("Mine", 1, category)
    cadence = Cadence.objects.get(name="A stretch activity")
    assert cadence.steps.get().template.key == "stretch-2"


def test_every_shipped_text_is_sent_by_some_action() -> None:
    used = {step["text"] for action in shipped_actions() for step in action["steps"]}

    assert used == {path.stem for path in _TEXTS.glob("*.toml")}


def test_an_activated_draft_sends_its_message_and_ends_at_its_goal() -> None:
    course = make_live_course()
    quiz = make_item(course, "quiz")
    make_item(course, "module", title="Cells", url="https://courses.example.org/cells")
    drafts = {each.name: each for each in install(course).drafts}
    cadence = drafts["From watching to the quiz"]
    tried, silent = make_evaluated(course), make_evaluated(course)
    for enrollment in (tried, silent):
        make_transition(enrollment, cadence.segment)
    react_due(now=NOW)
    assert not Run.objects.exists()
    set_cadence_status(cadence.pk, "active")
    for enrollment in (tried, silent):
        make_transition(enrollment, cadence.segment)

    react_due(now=NOW)
    plan_due(now=NOW)
    sent, _ = dispatch(NOW)
    assert len(sent) == 2
    assert "https://courses.example.org/cells" in sent[0].html
    act(tried, "ATTEMPT_QUIZ", item=quiz, occurred_at=NOW + timedelta(days=2, hours=20))
    plan_due(now=NOW + timedelta(days=3, hours=1))

    assert Run.objects.get(enrollment=tried).exit_reason == "goal"
    assert Delivery.objects.filter(enrollment=tried).count() == 1
    assert Delivery.objects.filter(enrollment=silent).count() == 2


def test_an_instructor_gets_a_task_after_48_hours_if_the_attempts_fell() -> None:
    course = make_live_course()
    quiz = make_item(course, "quiz")
    drafts = {each.name: each for each in install(course).drafts}
    cadence = drafts["Another look at what was hard"]
    set_cadence_status(cadence.pk, "active")
    falling, steady = make_evaluated(course), make_evaluated(course)
    # Falling: two attempts in the week before the last seven days, none in these.
    act(falling, "ATTEMPT_QUIZ", item=quiz, count=2, occurred_at=NOW - timedelta(days=8))
    for enrollment in (falling, steady):
        make_transition(enrollment, cadence.segment)

    react_due(now=NOW)
    for hours in (0, 47, 48):
        plan_due(now=NOW + hours * HOUR)
        if hours == 47:
            assert Delivery.objects.count() == 2

    second = {each.enrollment: each for each in Delivery.objects.filter(channel="task")}
    assert second[falling].state == "planned"
    assert second[falling].planned_at == NOW + 48 * HOUR
    assert (second[steady].state, second[steady].reason) == ("dropped", "condition")


def test_the_page_names_the_messages_and_leads_to_the_drafts(client: Client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("staff"))
    course = make_course()
    address = f"/courses/{course.pk}/install/{FIVE}/"

    assert "Messages, as drafts: “From watching to the quiz”" in client.get(address).text
    answer = client.post(address, follow=True)

    assert f"Created {len(shipped_actions())} cadences as drafts" in answer.text
    drafts = client.get("/admin/interventions/cadence/?status__exact=draft").text
    assert "Another look at what was hard" in drafts
