"""The page of a template: its fields look like all others and list the variables."""

import pytest
from django.contrib.auth import get_user_model
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from interventions.models import Cadence, MessageTemplate
from interventions.operations import save_template
from interventions.render.context import KNOWN_VARIABLES
from tests.admin.test_changes import make_template, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def test_text_fields_look_like_all_others(staff):
    form = staff.get(page(MessageTemplate, make_template())).context["adminform"].form

    assert isinstance(form.fields["locale"].widget, UnfoldAdminTextInputWidget)
    assert isinstance(form.fields["subject"].widget, UnfoldAdminTextInputWidget)
    assert isinstance(form.fields["body"].widget, UnfoldAdminTextareaWidget)
    # A width in letters makes the page wider than a narrow window.
    assert "size=" not in str(form["subject"])


def test_every_variable_is_listed_at_the_body(staff):
    text = staff.get(page(MessageTemplate, action="add")).content.decode()

    for name in KNOWN_VARIABLES:
        assert f"{{{{ {name} }}}}</code>" in text
    assert "{% if next_item %}" in text


def test_page_of_a_cadence_explains_how_to_write_delays(staff):
    text = staff.get(page(Cadence, action="add")).content.decode()

    assert "The delay counts from the previous step. Examples: 0, 2 h" in text
    assert "expires. Examples: 2 h, 90 min, 3 days" in text


def test_saved_text_is_shown_with_example_values_in_a_frame_without_scripts(staff):
    texts = {
        "en": ("Hello {{ learner.first_name | default: 'you' }}", "<p>On {{ course.title }}</p>")
    }
    category = make_template().category
    template = save_template("seen", name="Seen", category=category, texts=texts)

    text = staff.get(page(MessageTemplate, template)).content.decode()

    assert "Hello Ana" in text
    assert "On Statistics&lt;/p&gt;" in text
    assert 'sandbox=""' in text


def test_new_template_says_when_there_is_a_preview(staff):
    text = staff.get(page(MessageTemplate, action="add")).content.decode()

    assert "Save the template to see it" in text
