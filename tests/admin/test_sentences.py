"""A form explains its choices, and refuses a wrong value with a sentence that says what to do."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import CheckConstraint, UniqueConstraint
from django.urls import reverse

from activity.admin import ReadOnlyAdmin
from interventions.models import Cadence, Category, FrequencyCap, QuietHours, Step
from interventions.operations import save_template
from segmentation.models import Segment, SegmentStatus
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

STEP = {Step}
EDITED = STEP | {
    model
    for model in apps.get_app_config("interventions").get_models()
    if not isinstance(admin.site._registry[model], ReadOnlyAdmin)
}
CHECKS = [
    (model, check)
    for model in sorted(EDITED, key=lambda model: model.__name__)
    for check in model._meta.constraints
    if isinstance(check, CheckConstraint)
]


@pytest.fixture
def staff(client, db):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def add_page(model):
    return reverse(f"admin:interventions_{model._meta.model_name}_add")


def test_every_model_with_checks_and_a_form_is_tested():
    assert {model.__name__ for model, _ in CHECKS} >= {"Cadence", "FrequencyCap", "QuietHours"}


@pytest.mark.parametrize(("model", "check"), CHECKS, ids=[check.name for _, check in CHECKS])
def test_check_has_its_own_sentence_and_a_field(model, check):
    sentence = check.get_violation_error_message()

    assert sentence != check.default_violation_error_message % {"name": check.name}
    assert check.name not in sentence
    assert sentence.endswith(".")
    # `FieldCheckedModel` shows the sentence there.
    assert model._meta.get_field(check.violation_error_code)


@pytest.mark.parametrize("model", sorted(EDITED, key=lambda model: model.__name__))
def test_no_unique_constraint_shows_its_name(model):
    for unique in model._meta.constraints:
        if isinstance(unique, UniqueConstraint):
            # If neither is set, Django makes a sentence from the names of the fields.
            assert unique.fields
            assert unique.condition is None


CAP = {
    "name": "Two a day",
    "scope": "everything",
    "limit": 2,
    "window": "rolling_days",
    "length": 1,
    "on_exceed": "defer",
    "active": "on",
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"length": 0}, "length", "Write 1 or more"),
        ({"limit": 0}, "limit", "Hold all messages"),
        ({"scope": "category"}, "scope", "choose a category"),
        ({"scope": "channel"}, "scope", "choose"),
    ],
    ids=str,
)
def test_cap_is_refused_at_its_field(staff, changed, field, words):
    response = staff.post(add_page(FrequencyCap), CAP | changed)

    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert words in errors[field][0]
    assert not FrequencyCap.objects.exists()


def test_quiet_hours_without_length_are_refused_at_their_end(staff):
    response = staff.post(add_page(QuietHours), {"begins": "22:00", "ends": "22:00"})

    errors = response.context["adminform"].form.errors
    assert list(errors) == ["ends"]
    assert "Enter another end" in errors["ends"][0]


def test_quiet_hours_may_be_written_like_9pm(staff):
    refused = staff.post(add_page(QuietHours), {"begins": "25 o'clock", "ends": "8 am"})
    assert "21:00, 9pm" in refused.context["adminform"].form.errors["begins"][0]
    assert "25 o&#x27;clock" in refused.content.decode()

    staff.post(add_page(QuietHours), {"begins": "9pm", "ends": "8 am"})

    assert str(QuietHours.objects.get()) == "21:00 to 08:00"


@pytest.fixture
def template(db):
    category = Category.objects.create(key="nudges", name="Nudges")
    return save_template(
        "hello", name="Hello", category=category, texts={"en": ("Hello", "<p>Hello</p>")}
    )


def post_cadence(staff, template, **changed):
    values = {
        "key": "welcome",
        "name": "Welcome",
        "status": "active",
        "trigger": "enter",
        "segment": make_segment(make_playbook(), ACTED_TODAY).pk,
        "category": template.category_id,
        "priority": 100,
        "reentry": "never",
        "max_age": "7 days",
        "steps-TOTAL_FORMS": 1,
        "steps-INITIAL_FORMS": 0,
        "steps-0-delay": "0",
        "steps-0-template": template.pk,
    }
    return staff.post(add_page(Cadence), values | changed)


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"segment": ""}, "segment", "Choose the segment"),
        ({"reentry": "cooldown"}, "cooldown", "Enter the length of the pause"),
        ({"window_from": "09:00"}, "window_until", "both times"),
        ({"window_until": "09:00"}, "window_until", "both times"),
        ({"window_from": "09:00", "window_until": "09:00"}, "window_until", "the same time"),
        ({"max_age": "0"}, "max_age", "expire at once"),
    ],
    ids=str,
)
def test_cadence_is_refused_at_its_field(staff, template, changed, field, words):
    response = post_cadence(staff, template, **changed)

    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert len(errors[field]) == 1
    assert words in errors[field][0]
    assert not Cadence.objects.exists()


def test_negative_delay_is_refused_at_its_step(staff, template):
    response = post_cadence(staff, template, **{"steps-0-delay": "-1 day"})

    assert "1 day 12 hours" in response.context["errors"][0][0]
    assert not Cadence.objects.exists()


@pytest.mark.parametrize(
    ("changed", "is_saved"),
    [
        ({}, False),
        ({"trigger": "leave"}, False),
        ({"status": "draft"}, True),
        ({"trigger": "manual"}, True),
    ],
    ids=str,
)
def test_cadence_of_an_archived_segment_is_not_active(staff, template, changed, is_saved):
    segment = make_segment(make_playbook(), ACTED_TODAY)
    Segment.objects.filter(pk=segment.pk).update(status=SegmentStatus.ARCHIVED)

    response = post_cadence(staff, template, segment=segment.pk, **changed)

    assert Cadence.objects.exists() == is_saved
    if not is_saved:
        assert "is archived" in response.context["adminform"].form.errors["segment"][0]


def test_every_choice_about_a_category_is_explained() -> None:
    choices = [each for each in Category._meta.fields if each.choices or each.has_default()]

    assert {each.name for each in choices} >= {"needs_opt_in", "in_doubt_policy"}
    assert [each.name for each in choices if not each.help_text] == []
