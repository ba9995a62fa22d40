"""Changes by an admin, their effects, and the sentences of refusals."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from activity.models import Due
from experiments.models import Arm, Experiment
from interventions.models import Cadence, Category, MessageTemplate
from interventions.operations import CadenceFields, StepFields, save_cadence, save_template
from segmentation.models import Override, Segment, SegmentVersion
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_course, make_enrollment
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db

BUSY = where("active_days", ">=", 3, window=7)


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def page(model, row=None, action="change"):
    meta = model._meta
    if row is None:
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_{action}")
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{action}", args=(row.pk,))


def act_on(staff, row, action, **more):
    url = page(type(row), action="changelist")
    form = {"action": action, "_selected_action": [row.pk], **more}
    return staff.post(url, form, follow=True)


def segment_form(segment, **changed):
    values = {
        "name": segment.name,
        "key": segment.key,
        "description": "",
        "priority": 100,
        "rule": json.dumps(segment.rule),
        "leave_rule": "null",
    }
    return values | changed


def make_template(category=None):
    category = category or Category.objects.create(key="nudges", name="Nudges")
    return save_template(
        "hello", name="Hello", category=category, texts={"en": ("Hello", "<p>Hello</p>")}
    )


def make_experiment(segment):
    experiment = Experiment.objects.create(
        key="nudge", name="Nudge", segment=segment, seed="s", differs_outside=True
    )
    for position, key in enumerate(("control", "nudge")):
        Arm.objects.create(
            experiment=experiment,
            key=key,
            weight="0.5",
            position=position,
            is_control=key == "control",
        )
    return experiment


def test_segment_page_shows_its_rule_in_english_and_its_size(staff):
    segment = make_segment(make_playbook(), BUSY)

    text = staff.get(page(Segment, segment)).content.decode()

    assert "Active on at least 3 of the last 7 days" in text
    assert "Members" in text


def test_edited_rule_makes_a_version(staff):
    segment = make_segment(make_playbook(), BUSY)
    calmer = where("active_days", ">=", 2, window=7)

    response = staff.post(page(Segment, segment), segment_form(segment, rule=json.dumps(calmer)))

    assert response.status_code == 302
    segment.refresh_from_db()
    assert segment.version == 2
    assert SegmentVersion.objects.get(segment=segment, version=2).created_by.username == "staff"


def test_broken_rule_is_refused_with_the_path_to_the_error(staff):
    segment = make_segment(make_playbook(), BUSY)
    broken = json.dumps(where("actve_days", ">=", 3, window=7))

    response = staff.post(page(Segment, segment), segment_form(segment, rule=broken))

    assert response.status_code == 200
    assert "rules[0].field" in response.content.decode()
    segment.refresh_from_db()
    assert segment.version == 1


def test_installed_segment_starts_nothing_when_edited_in_the_admin(staff):
    course = make_course(live_since=NOW)
    make_enrollment(course)
    segment = make_segment(make_playbook(course), BUSY)
    evaluate_due(now=NOW)
    nobody = json.dumps(where("active_days", "<", 3, window=7))

    staff.post(page(Segment, segment), segment_form(segment, rule=nobody))
    evaluate_due(now=NOW)

    assert segment.memberships.filter(left_at=None).count() == 1
    assert not segment.transitions.filter(starts=True).exists()


def test_playbook_page_sets_courses_and_mode(staff):
    course = make_course()
    enrollment = make_enrollment(course, due_at=None)
    playbook = make_playbook()
    make_segment(playbook, where("active_days", "<", 3, window=7))

    form = {
        "name": playbook.name,
        "key": playbook.key,
        "mode": "exclusive",
        "kept_for": [course.pk],
        "segments-TOTAL_FORMS": 0,
        "segments-INITIAL_FORMS": 0,
    }
    response = staff.post(page(type(playbook), playbook), form)

    assert response.status_code == 302
    playbook.refresh_from_db()
    assert playbook.mode == "exclusive"
    evaluate_due(now=NOW)
    assert enrollment.memberships.count() == 1


def test_member_added_by_hand_is_a_member_after_the_next_evaluation(staff):
    course = make_course()
    enrollment = make_enrollment(course)
    segment = make_segment(make_playbook(course), BUSY)

    form = {"segment": segment.pk, "enrollment": enrollment.pk, "kind": "added"}
    response = staff.post(page(Override, action="add"), form)

    assert response.status_code == 302
    evaluate_due(now=NOW)
    assert enrollment.memberships.filter(segment=segment, left_at=None).exists()


def test_member_of_another_course_is_refused(staff):
    enrollment = make_enrollment(make_course())
    segment = make_segment(make_playbook(make_course()), BUSY)

    form = {"segment": segment.pk, "enrollment": enrollment.pk, "kind": "added"}
    response = staff.post(page(Override, action="add"), form)

    assert response.status_code == 200
    assert "not kept" in response.content.decode()
    assert not Override.objects.exists()


def test_edited_course_is_evaluated_again(staff):
    course = make_course()
    enrollment = make_enrollment(course, due_at=None)

    form = {
        "key": course.key,
        "title": "Another title",
        "time_zone": "Europe/London",
        "locale": "en",
        "starts_on": "2025-09-01",
        "ends_on": "2025-10-20",
        "pass_mark": "0.5",
        "late_after_hours": "48",
        "grace_days": "2",
    }
    response = staff.post(page(type(course), course), form)

    assert response.status_code == 302, response.content.decode()
    assert Due.objects.get(pk=enrollment.pk).due_at is not None


def test_template_with_an_unknown_variable_is_refused_by_name(staff):
    template = make_template()

    form = {
        "key": "hello",
        "name": "Hello",
        "category": template.category_id,
        "locale": "en",
        "subject": "Hello {{ learner.frist_name }}",
        "body": "<p>Hello</p>",
        "texts-TOTAL_FORMS": 0,
        "texts-INITIAL_FORMS": 0,
    }
    response = staff.post(page(MessageTemplate, template), form)

    assert response.status_code == 200
    assert "frist_name" in response.content.decode()
    template.refresh_from_db()
    assert template.version == 1


def test_saved_template_is_a_new_version_with_its_other_locales(staff):
    category = Category.objects.create(key="nudges", name="Nudges")
    texts = {"en": ("Hello", "<p>Hello</p>"), "de": ("Hallo", "<p>Hallo</p>")}
    template = save_template("hello", name="Hello", category=category, texts=texts)

    form = {
        "key": "hello",
        "name": "Hello",
        "category": category.pk,
        "locale": "en",
        "subject": "Hi",
        "body": "<p>Hi</p>",
        "texts-TOTAL_FORMS": 0,
        "texts-INITIAL_FORMS": 0,
    }
    response = staff.post(page(MessageTemplate, template), form)

    assert response.status_code == 302
    template.refresh_from_db()
    subjects = dict(template.texts.filter(version=2).values_list("locale", "subject"))
    assert (template.version, subjects) == (2, {"en": "Hi", "de": "Hallo"})


def cadence_form(template, **changed):
    values = {
        "key": "welcome",
        "name": "Welcome",
        "status": "active",
        "trigger": "enter",
        "category": template.category_id,
        "priority": 100,
        "reentry": "never",
        "max_age": "7 days",
        "steps-TOTAL_FORMS": 1,
        "steps-INITIAL_FORMS": 0,
        "steps-0-delay": "0",
        "steps-0-template": template.pk,
    }
    return values | changed


def test_cadence_is_saved_with_its_steps(staff):
    segment = make_segment(make_playbook(), BUSY)
    template = make_template()

    response = staff.post(page(Cadence, action="add"), cadence_form(template, segment=segment.pk))

    assert response.status_code == 302, response.content.decode()
    cadence = Cadence.objects.get(key="welcome")
    assert [step.channel for step in cadence.steps.all()] == ["email"]


def test_cadence_without_steps_is_refused(staff):
    segment = make_segment(make_playbook(), BUSY)
    template = make_template()

    form = cadence_form(template, segment=segment.pk) | {"steps-TOTAL_FORMS": 0}
    response = staff.post(page(Cadence, action="add"), form)

    assert "Add at least one step" in response.content.decode()
    assert not Cadence.objects.exists()


def test_experiment_does_not_start_with_a_cadence_for_every_learner(staff):
    segment = make_segment(make_playbook(), BUSY)
    template = make_template()
    fields = CadenceFields(name="Welcome", category=template.category, segment=segment)
    save_cadence("welcome", fields=fields, steps=[StepFields(template)])
    experiment = make_experiment(segment)

    text = act_on(staff, experiment, "start").content.decode()

    assert "would message the control learners too" in text
    experiment.refresh_from_db()
    assert experiment.status == "draft"


def test_experiment_is_started_and_stopped(staff):
    experiment = make_experiment(make_segment(make_playbook(), BUSY))

    act_on(staff, experiment, "start")
    experiment.refresh_from_db()
    assert experiment.status == "running"

    act_on(staff, experiment, "stop")
    experiment.refresh_from_db()
    assert experiment.status == "stopped"


def test_started_experiment_keeps_its_seed_and_arms(staff):
    experiment = make_experiment(make_segment(make_playbook(), BUSY))
    act_on(staff, experiment, "start")

    text = staff.get(page(Experiment, experiment)).content.decode()

    assert 'name="seed"' not in text
    assert 'name="arms-0-weight"' not in text


def test_cadence_for_every_learner_is_refused_during_an_experiment(staff):
    segment = make_segment(make_playbook(), BUSY)
    template = make_template()
    act_on(staff, make_experiment(segment), "start")

    response = staff.post(page(Cadence, action="add"), cadence_form(template, segment=segment.pk))

    assert "Choose an arm" in response.content.decode()
    assert not Cadence.objects.exists()


def test_staff_without_permissions_see_nothing(client):
    client.force_login(get_user_model().objects.create_user("guest", is_staff=True))
    segment = make_segment(make_playbook(), BUSY)

    assert client.get(page(Segment, segment)).status_code == 403
    assert client.get(page(Segment, action="changelist")).status_code == 403


def test_also_those_already_in_holds_for_one_edit_only(staff):
    segment = make_segment(make_playbook(), BUSY, include_present=True)
    assert segment.include_present

    form = staff.get(page(Segment, segment)).context["adminform"].form

    assert form["include_present"].value() is False


def test_archiving_a_segment_clears_the_tick(staff):
    segment = make_segment(make_playbook(), BUSY, include_present=True)

    act_on(staff, segment, "archive")
    act_on(staff, segment, "activate")

    segment.refresh_from_db()
    assert (segment.status, segment.include_present) == ("active", False)


def test_rule_of_500_levels_is_refused_with_its_path(staff):
    segment = make_segment(make_playbook(), BUSY)
    rule = '{"combinator": "and", "rules": [' * 500 + json.dumps(BUSY) + "]}" * 500

    response = staff.post(page(Segment, segment), segment_form(segment, rule=rule))

    assert response.status_code == 200
    assert "rules[0].rules[0]" in response.content.decode()


def test_only_the_actions_pause_and_resume_a_cadence(staff):
    category = Category.objects.create(key="tips", name="Tips")
    template = save_template(
        "hello", name="Hello", category=category, texts={"en": ("Hello", "<p>Hello</p>")}
    )
    fields = CadenceFields(
        name="Welcome",
        category=category,
        segment=make_segment(make_playbook(make_course()), BUSY),
    )
    cadence = save_cadence("welcome", fields=fields, steps=[StepFields(template)])

    form = staff.get(page(Cadence, cadence)).context["adminform"].form

    # A field in the form would change the row without releasing held messages.
    assert "paused" not in form.fields
    act_on(staff, cadence, "pause", reason="a wrong text")
    cadence.refresh_from_db()
    assert cadence.paused
    act_on(staff, cadence, "resume")
    cadence.refresh_from_db()
    assert not cadence.paused
