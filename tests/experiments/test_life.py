"""Draft, checked, running, stopped, archived: nothing else is possible, whoever writes."""

from datetime import timedelta
from itertools import pairwise, product

import pytest
from django.db import IntegrityError, transaction

from experiments.models import Experiment, ExperimentStatus
from experiments.operations import archive_experiment, check_experiment, stop_experiment
from experiments.protocol import ProtocolError
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import make_experiment, running_experiment
from tests.factories import NOW

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)
ORDER = list(ExperimentStatus)
ALLOWED = {
    *pairwise(ORDER),
    (ORDER[1], ORDER[0]),
    *zip(ORDER, ORDER, strict=True),
}


def brought_to(status: ExperimentStatus) -> Experiment:
    experiment = make_experiment()
    steps = [check_experiment, lock_protocol_and_run, stop_experiment, archive_experiment]
    for step in steps[: ORDER.index(status)]:
        step(experiment.pk, now=NOW)
    return Experiment.objects.get(pk=experiment.pk)


@pytest.mark.parametrize("before", ORDER)
@pytest.mark.parametrize("after", ORDER)
@pytest.mark.sampled(2)
def test_the_database_knows_the_order(before: ExperimentStatus, after: ExperimentStatus) -> None:
    experiment = brought_to(before)
    assert experiment.status == before
    change = Experiment.objects.filter(pk=experiment.pk)
    values = {"status": after, "protocol": "{}", "started_at": NOW, "stopped_at": NOW}
    if before == after:
        values = {"status": after}
    if (before, after) in ALLOWED:
        assert change.update(**values) == 1
        return
    refused = pytest.raises(IntegrityError, match=f"that is {before} cannot become {after}")
    with refused, transaction.atomic():
        change.update(**values)


@pytest.mark.parametrize(
    ("operation", "status", "sentence"),
    [
        (check_experiment, "running", "is running"),
        (check_experiment, "stopped", "is stopped"),
        (check_experiment, "archived", "is archived"),
        (lock_protocol_and_run, "running", "it is running"),
        (lock_protocol_and_run, "stopped", "it is stopped"),
        (lock_protocol_and_run, "archived", "it is archived"),
        (stop_experiment, "draft", "never started"),
        (stop_experiment, "checked", "never started"),
        (stop_experiment, "archived", "was stopped long ago"),
        (archive_experiment, "draft", "Delete the draft"),
        (archive_experiment, "checked", "Delete the draft"),
        (archive_experiment, "running", "Stop it first"),
    ],
)
def test_each_refusal_says_why(operation, status: str, sentence: str) -> None:
    experiment = brought_to(ExperimentStatus(status))
    with pytest.raises(ProtocolError, match=sentence):
        operation(experiment.pk, now=LATER)


def test_a_check_finds_what_is_missing() -> None:
    with pytest.raises(ProtocolError, match="another arm besides the control"):
        check_experiment(make_experiment({"control": 1}).pk, now=NOW)
    with pytest.raises(ProtocolError, match="cannot be read"):
        check_experiment(make_experiment(method="blocks", strata="shoe size").pk, now=NOW)


@pytest.mark.parametrize("change", ["name", "arm", "new arm", "less arms", "nothing"])
def test_an_edit_takes_the_check_back(change: str) -> None:
    experiment = brought_to(ExperimentStatus.CHECKED)
    assert experiment.checked_at == NOW
    if change == "name":
        experiment.name = "Another"
    if change == "arm":
        experiment.arms.filter(key="nudge").update(name="Another")
    if change == "new arm":
        experiment.arms.create(key="third", weight=0, position=7)
    if change == "less arms":
        experiment.arms.filter(key="nudge").delete()
    if change in ("name", "nothing"):
        experiment.save()

    found = Experiment.objects.get(pk=experiment.pk)
    expected = ("checked", NOW) if change == "nothing" else ("draft", None)
    assert (found.status, found.checked_at) == expected


def test_a_stop_and_an_archive_keep_their_first_instant() -> None:
    experiment = running_experiment()
    for now in (NOW, LATER):
        stop_experiment(experiment.pk, now=now)
    for now in (NOW, LATER):
        archive_experiment(experiment.pk, now=now)
    experiment.refresh_from_db()

    assert (experiment.stopped_at, experiment.archived_at) == (NOW, NOW)
    assert (experiment.status, experiment.ended_because) == ("archived", "staff")


def test_every_pair_of_states_is_tried() -> None:
    assert len(list(product(ORDER, ORDER))) == 25
    assert len(ALLOWED) == 10
