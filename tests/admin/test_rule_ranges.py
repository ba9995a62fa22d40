"""Rules of cadences with impossible values are refused, in the form and in the operation."""

import json

import pytest
from django.contrib.auth import get_user_model

from interventions.models import Cadence
from interventions.operations import CadenceFields, InterventionError, StepFields, save_cadence
from tests.admin.test_changes import cadence_form, make_template, page
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db

PERCENT = where("quiz_pass_rate", "<", 60)
SENTENCE = "rules[0].value: must be a rate between 0 and 1, is 60; 0.6 is 60%"


@pytest.fixture
def segment():
    return make_segment(make_playbook(), ACTED_TODAY)


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.mark.parametrize("field", ["goal_rule", "steps-0-condition"])
def test_form_of_a_cadence_refuses_a_percentage_for_a_rate(staff, segment, field):
    form = cadence_form(make_template(), segment=segment.pk) | {field: json.dumps(PERCENT)}

    response = staff.post(page(Cadence, action="add"), form)

    assert SENTENCE in response.content.decode()
    assert not Cadence.objects.exists()


@pytest.mark.parametrize("place", ["The goal rule", "The condition of step 1"])
def test_operation_refuses_a_percentage_for_a_rate(segment, place):
    template = make_template()
    goal, condition = (PERCENT, None) if place == "The goal rule" else (None, PERCENT)
    fields = CadenceFields(
        name="Nudge", category=template.category, segment=segment, goal_rule=goal
    )

    with pytest.raises(InterventionError) as caught:
        save_cadence("nudge", fields=fields, steps=[StepFields(template, condition=condition)])

    assert str(caught.value) == f"{place}: {SENTENCE}"
