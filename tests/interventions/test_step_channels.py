"""A step that gets a template of another channel sends no waiting message over the wrong one."""

import pytest

from interventions.forms.steps import StepForm
from interventions.models import Delivery, Step
from interventions.operations import InterventionError, StepFields, save_cadence, save_template
from interventions.operations.cadences import CadenceFields
from tests.interventions.factories import dispatch, make_delivery

pytestmark = pytest.mark.django_db


def task_of(delivery: Delivery) -> StepFields:
    """Return a step of the same category with a text for instructors."""
    texts = {"en": ("Call this learner", "<p>They gave up. Be kind.</p>")}
    task = save_template(
        "call", name="Call", category=delivery.category, texts=texts, channel="task"
    )
    return StepFields(task)


def test_text_for_an_instructor_is_never_mailed_to_the_learner() -> None:
    delivery = make_delivery()
    template = task_of(delivery).template
    # As an edit does while plan writes the message.
    Step.objects.filter(pk=delivery.step_id).update(template=template, channel="task")

    sent, _ = dispatch()

    delivery.refresh_from_db()
    assert sent == []
    assert (delivery.state, delivery.reason) == ("dropped", "channel_changed")


def test_step_keeps_its_channel_while_messages_of_it_wait() -> None:
    delivery = make_delivery()
    cadence, task = delivery.run.cadence, task_of(delivery)
    fields = CadenceFields(name="x", category=cadence.category, segment=cadence.segment)

    with pytest.raises(
        InterventionError, match="Messages of this step wait on the channel “Email”"
    ):
        save_cadence(cadence.key, fields=fields, steps=[task])

    dispatch()
    save_cadence(cadence.key, fields=fields, steps=[task])
    assert Step.objects.get(cadence=cadence).channel == "task"


def test_page_of_the_cadence_says_so_at_the_template() -> None:
    delivery = make_delivery()
    other = task_of(delivery).template
    typed = {"delay": "0", "template": other.pk, "condition": ""}

    form = StepForm(typed, instance=Step.objects.get(pk=delivery.step_id))

    assert [*form.errors] == ["template"]
    assert "a text of the channel “task for an instructor”" in form.errors["template"][0]
