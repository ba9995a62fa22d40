"""What the check page says that each arm receives, and what would prevent the start."""

import pytest

from activity.access import COMMAND_LINE
from interventions.models import FrequencyCap
from interventions.operations import start_problems
from interventions.queries.arm_messages import messages_of_arms
from tests.interventions.factories import arm_of, make_any_segment, make_cadence, make_experiment

pytestmark = pytest.mark.django_db


def test_each_arm_has_its_cadences_ghosts_and_caps(django_assert_num_queries) -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False)
    control, nudge = arm_of(experiment, "control"), arm_of(experiment, "nudge")
    make_cadence(name="Come back", segment=segment, arm=nudge, ghost_for=control, steps=2)
    make_cadence(name="For all", segment=make_any_segment())
    FrequencyCap.objects.create(
        name="One a day", limit=1, window="rolling_days", length=1, arm=nudge, on_exceed="drop"
    )
    with django_assert_num_queries(4):
        found = messages_of_arms(experiment, viewer=COMMAND_LINE)

    assert found["control"] == [
        "“Come back” as ghosts: planned and counted by the caps, but never sent."
    ]
    sentence, cap = found["nudge"]
    assert sentence.startswith("“Come back”: ")
    assert " by Email, at once; " in sentence
    assert sentence.endswith("1 day later.")
    assert "1 message" in cap
    assert found.keys() == {"control", "nudge"}


def test_every_reason_against_a_start_is_given_and_nothing_changes() -> None:
    segment = make_any_segment()
    experiment = make_experiment(segment, start=False, differs_outside=False)
    make_cadence(segment=segment)
    problems = start_problems(experiment, viewer=COMMAND_LINE)
    experiment.refresh_from_db()

    assert len(problems) == 2
    assert "is for every learner who enters the segment" in problems[0]
    assert "No active cadence sends anything to a treatment arm." in problems[1]
    assert experiment.status == "draft"
