"""Saving cadences and starting experiments, and the sentences of refusals."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from experiments.models import Assignment, Experiment
from experiments.protocol import ProtocolError
from interventions.models import Cadence, Delivery, QuietHours
from interventions.operations import (
    CadenceFields,
    InterventionError,
    StepFields,
    save_cadence,
    start_experiment,
)
from interventions.stages.react import react_due
from segmentation.models import Membership
from tests.factories import NOW
from tests.interventions.factories import (
    arm_of,
    make_any_segment,
    make_cadence,
    make_category,
    make_counted,
    make_evaluated,
    make_experiment,
    make_template,
)
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db


@pytest.fixture
def fields() -> CadenceFields:
    return CadenceFields(name="Nudge", category=make_category(), segment=make_any_segment())


def save(fields: CadenceFields, *steps: StepFields, **changes: Any) -> Cadence:
    steps = steps or (StepFields(make_template(fields.category)),)
    return save_cadence("nudge", fields=replace(fields, **changes), steps=steps)


def test_saving_again_changes_the_cadence_and_its_steps(fields: CadenceFields) -> None:
    template = make_template(fields.category)
    first = save(fields, StepFields(template), StepFields(template, timedelta(days=1)))

    second = save(fields, StepFields(template, timedelta(hours=2)), name="New")

    assert (second.pk, second.name) == (first.pk, "New")
    assert list(second.steps.values_list("position", "delay")) == [(0, timedelta(hours=2))]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"segment": None}, "is triggered by a segment. Choose the segment"),
        ({"reentry": "cooldown"}, "Enter the length of the pause"),
        ({"goal_rule": {"field": "active_days"}}, "The goal rule"),
    ],
)
def test_a_contradictory_cadence_is_refused(
    fields: CadenceFields, changes: dict, sentence: str
) -> None:
    with pytest.raises(InterventionError, match=sentence):
        save(fields, **changes)

    assert not Cadence.objects.exists()


def test_a_cadence_without_steps_is_refused(fields: CadenceFields) -> None:
    with pytest.raises(InterventionError, match="has no steps"):
        save_cadence("nudge", fields=fields, steps=[])


def test_a_condition_that_is_not_a_rule_is_refused_with_its_step(fields: CadenceFields) -> None:
    template = make_template(fields.category)
    steps = [StepFields(template), StepFields(template, condition={"field": "wrong"})]

    with pytest.raises(InterventionError, match="The condition of step 2"):
        save(fields, *steps)


def test_a_template_of_another_category_is_refused(fields: CadenceFields) -> None:
    with pytest.raises(InterventionError, match="Both must have the same one"):
        save(fields, StepFields(make_template()))


def test_a_step_with_sent_messages_cannot_be_removed(fields: CadenceFields) -> None:
    template = make_template(fields.category)
    cadence = save(fields, StepFields(template), StepFields(template))
    delivery = make_counted(make_evaluated(), NOW, cadence=cadence)
    Delivery.objects.filter(pk=delivery.pk).update(step=cadence.steps.last())

    with pytest.raises(InterventionError, match="Archive the cadence"):
        save(fields, StepFields(template))


def test_ghosts_run_in_the_control_arm_of_the_cadences_own_experiment(
    fields: CadenceFields,
) -> None:
    experiment, other = (make_experiment(fields.segment, start=False) for _ in range(2))
    nudge, control = arm_of(experiment, "nudge"), arm_of(experiment, "control")

    with pytest.raises(InterventionError, match="of the same experiment"):
        save(fields, ghost_for=control)
    with pytest.raises(InterventionError, match="of the same experiment"):
        save(fields, arm=nudge, ghost_for=arm_of(other, "control"))
    with pytest.raises(InterventionError, match="Only the control arm can have ghosts"):
        save(fields, arm=control, ghost_for=nudge)

    assert save(fields, arm=nudge, ghost_for=control).ghost_for == control


def test_an_experiment_does_not_start_with_a_cadence_for_every_learner() -> None:
    cadence = make_cadence()
    experiment = make_experiment(cadence.segment, start=False)

    with pytest.raises(ProtocolError, match="would message the control learners too"):
        start_experiment(experiment.pk, now=NOW)

    experiment.refresh_from_db()
    assert experiment.status == "draft"
    Cadence.objects.update(status="archived")
    assert start_experiment(experiment.pk, now=NOW).status == "running"


def test_an_experiment_starts_only_where_its_arms_differ() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False, differs_outside=False)
    control, nudge = arm_of(experiment, "control"), arm_of(experiment, "nudge")

    with pytest.raises(ProtocolError, match="No active cadence sends anything"):
        start_experiment(experiment.pk, now=NOW)
    cadence = make_cadence(segment=segment, arm=nudge)
    with pytest.raises(ProtocolError, match="ghosts in the control arm"):
        start_experiment(experiment.pk, now=NOW)
    Cadence.objects.filter(pk=cadence.pk).update(ghost_for=control, status="draft")
    with pytest.raises(ProtocolError, match="No active cadence sends anything"):
        start_experiment(experiment.pk, now=NOW)

    Cadence.objects.filter(pk=cadence.pk).update(status="active")
    assert start_experiment(experiment.pk, now=NOW).status == "running"


def test_an_experiment_whose_arms_differ_outside_starts_without_a_cadence() -> None:
    experiment = make_experiment(make_any_segment(), start=False, differs_outside=True)

    assert start_experiment(experiment.pk, now=NOW).status == "running"


def test_an_experiment_on_a_playbook_checks_all_its_segments() -> None:
    playbook = make_playbook()
    make_segment(playbook, ACTED_TODAY)
    make_cadence(segment=make_segment(playbook, ACTED_TODAY))
    experiment = make_experiment(make_any_segment(), start=False)
    Experiment.objects.filter(pk=experiment.pk).update(segment=None, playbook=playbook)

    with pytest.raises(ProtocolError, match="for every learner"):
        start_experiment(experiment.pk, now=NOW)


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        ({}, True),
        ({"status": "draft"}, False),
        ({"trigger": "leave"}, False),
        ({"segment": "another"}, False),
    ],
    ids=["for everybody", "draft", "on leaving", "another segment"],
)
def test_a_cadence_for_every_learner_is_not_saved_during_an_experiment(
    fields: CadenceFields, changes: dict, is_refused: bool
) -> None:
    make_experiment(fields.segment)
    if "segment" in changes:
        changes = {"segment": make_any_segment()}

    if is_refused:
        with pytest.raises(InterventionError, match="Choose an arm"):
            save(fields, **changes)
    else:
        assert save(fields, **changes).pk


@pytest.mark.parametrize("draw_present", [True, False])
def test_starting_draws_the_present_members_of_the_segment(draw_present: bool) -> None:
    segment = make_any_segment()
    inside, outside = make_evaluated(), make_evaluated()
    Membership.objects.create(segment=segment, enrollment=inside, entered_at=NOW, version=1)
    experiment = make_experiment(segment, start=False)

    start_experiment(experiment.pk, now=NOW, draw_present=draw_present)
    react_due(now=NOW)

    drawn = set(Assignment.objects.values_list("enrollment_id", flat=True))
    assert drawn == ({inside.pk} if draw_present else set())
    assert outside.pk not in drawn


@pytest.mark.parametrize(
    "values",
    [
        {"window_from": time(9), "window_until": time(9)},
        {"window_from": time(9)},
        {"max_age": timedelta(0)},
        {"status": "odd"},
        {"trigger": "odd"},
        {"weekdays": [0]},
        {"weekdays": [1, 8]},
    ],
    ids=str,
)
def test_the_table_itself_refuses_contradictory_values(values: dict) -> None:
    cadence = make_cadence()

    with pytest.raises(IntegrityError), transaction.atomic():
        Cadence.objects.filter(pk=cadence.pk).update(**values)


def test_the_site_has_one_row_of_quiet_hours() -> None:
    QuietHours.objects.create(begins=time(22), ends=time(8))

    with pytest.raises(IntegrityError), transaction.atomic():
        QuietHours.objects.create(begins=time(21), ends=time(7))


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [({}, True), ({"trigger": "leave"}, True), ({"status": "draft"}, False)],
    ids=["entering", "leaving", "draft"],
)
def test_an_active_cadence_of_an_archived_segment_is_refused(
    fields: CadenceFields, changes: dict, is_refused: bool
) -> None:
    fields.segment.status = "archived"
    fields.segment.save()

    if is_refused:
        with pytest.raises(InterventionError, match="is archived"):
            save(fields, **changes)
    else:
        assert save(fields, **changes).pk
