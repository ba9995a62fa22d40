"""Exclusion layers, learners reached before, and the ends of experiments."""

import threading
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from activity.access import COMMAND_LINE
from experiments.models import Assignment, Ending, ExclusionLayer, Experiment
from experiments.operations import (
    archive_experiment,
    draw_arms,
    end_due,
    name_winner,
    record_delivery_outcome,
    stop_experiment,
)
from experiments.protocol import ProtocolError, read_protocol
from experiments.queries import arms_now, details, report
from experiments.queries.planning import Checked
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import assign, make_experiment, make_segment, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment, make_learner
from tests.processes import SECONDS_TO_FINISH

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=3)


def layered(layer: ExclusionLayer, start: str, end: str, **fields: object) -> Experiment:
    return running_experiment(layer=layer, layer_start=start, layer_end=end, **fields)


@pytest.fixture
def layer() -> ExclusionLayer:
    return ExclusionLayer.objects.create(key="mails", name="All mails")


def test_a_learner_is_in_one_experiment_of_a_layer_over_all_courses(layer: ExclusionLayer) -> None:
    courses = make_course(), make_course()
    parts = [layered(layer, "0", "0.5"), layered(layer, "0.5", "0.9")]
    learners = [make_learner() for _ in range(60)]
    ids = [make_enrollment(course, each).pk for course in courses for each in learners]
    drawn = [draw_arms(each.pk, ids, now=NOW) for each in parts]

    one, two = (
        set(Assignment.objects.filter(experiment=each).values_list("layer_unit", flat=True))
        for each in parts
    )
    assert not one & two
    assert len(drawn[0]) == 2 * len(one)
    assert 15 < len(one) < 45
    assert 10 < len(two) < 40
    assert len(one) + len(two) < 60


def test_the_check_counts_the_members_outside_the_part_of_the_layer(layer: ExclusionLayer) -> None:
    members = [make_enrollment() for _ in range(20)]
    segment = make_segment()
    for each in members:
        segment.memberships.create(enrollment=each, entered_at=NOW, version=1)
    experiment = layered(layer, "0", "0.5", segment=segment)

    known = Checked(experiment, read_protocol(experiment.protocol), NOW, COMMAND_LINE).prospects

    drawn = draw_arms(experiment.pk, [each.pk for each in members], now=NOW)
    assert 0 < known.outside == len(members) - len(drawn)
    found = report(experiment, as_of=NOW)
    assert found.facts.layer_share == 50
    assert details(experiment, found, as_of=NOW).outside == known.outside


@pytest.mark.parametrize(("start", "end"), [("0.4", "0.6"), ("0", "1"), ("0.1", "0.2")])
def test_overlapping_ranges_of_a_layer_are_refused(
    layer: ExclusionLayer, start: str, end: str
) -> None:
    make_experiment(layer=layer, layer_start="0", layer_end="0.5")
    with pytest.raises(IntegrityError, match="layer_ranges_are_disjoint"), transaction.atomic():
        make_experiment(layer=layer, layer_start=start, layer_end=end)

    other = ExclusionLayer.objects.create(key="pages", name="Pages")
    second = make_experiment(layer=other, layer_start=start, layer_end=end)
    second.layer = layer
    with pytest.raises(ValidationError, match="Choose a range that is still free"):
        second.full_clean()
    make_experiment(layer=layer, layer_start="0.5", layer_end="1")


def test_an_archived_experiment_frees_its_range(layer: ExclusionLayer) -> None:
    first = layered(layer, "0", "1")
    stop_experiment(first.pk, now=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        layered(layer, "0", "1")
    archive_experiment(first.pk, now=NOW)
    layered(layer, "0", "1")


@pytest.mark.parametrize(
    "fields", [{"layer_start": "0"}, {"layer_start": "0.5", "layer_end": "0.5"}, {}], ids=str
)
def test_a_layer_has_a_range(layer: ExclusionLayer, fields: dict[str, str]) -> None:
    with pytest.raises(IntegrityError, match="layer_has_a_range"):
        make_experiment(layer=layer, **fields)


def test_learners_who_were_reached_before_can_be_left_out() -> None:
    course, other = make_course(), make_course()
    mailed, told, ghosted, fresh = (make_enrollment(course) for _ in range(4))
    act(make_enrollment(other, mailed.learner), "EMAIL_SENT", occurred_at=NOW)
    earlier = running_experiment()
    for enrollment, outcome in ((told, "handed_off"), (ghosted, "ghost")):
        before = assign(earlier, "nudge", NOW, enrollment)
        record_delivery_outcome(before.pk, delivery_key=before.unit_key, outcome=outcome, at=NOW)
    ids = [each.pk for each in (mailed, told, ghosted, fresh)]

    experiment = running_experiment(excludes_reached=True)
    assert draw_arms(experiment.pk, ids, now=NOW).keys() == {ghosted.pk, fresh.pk}
    # Messages after the draw change nothing.
    act(fresh, "EMAIL_SENT", occurred_at=NOW)
    assert draw_arms(experiment.pk, ids, now=LATER).keys() == {ghosted.pk, fresh.pk}


def test_nobody_is_drawn_from_the_end_date_on() -> None:
    course = make_course()
    experiment = running_experiment(ends_at=NOW + timedelta(days=2))
    first, late = make_enrollment(course), make_enrollment(course)
    before = draw_arms(experiment.pk, [first.pk], now=NOW)
    assert end_due(now=NOW) == []
    assert draw_arms(experiment.pk, [first.pk, late.pk], now=LATER) == before

    # The row's date is not what ends it.
    Experiment.objects.update(ends_at=NOW)
    assert end_due(now=NOW) == []
    assert end_due(now=LATER) == [experiment.pk]
    experiment.refresh_from_db()
    assert (experiment.status, experiment.ended_because) == ("stopped", Ending.DATE)
    assert experiment.stopped_at == NOW + timedelta(days=2)
    assert end_due(now=LATER) == []


def test_a_start_after_the_end_date_is_refused() -> None:
    experiment = make_experiment(ends_at=NOW)
    with pytest.raises(ProtocolError, match="already passed"):
        lock_protocol_and_run(experiment.pk, now=NOW)


@pytest.mark.parametrize("method", ["hash", "blocks"])
def test_the_last_learner_ends_the_experiment(method: str) -> None:
    course = make_course()
    experiment = running_experiment(method=method, most_learners=5)
    ids = [make_enrollment(course).pk for _ in range(8)]
    first = draw_arms(experiment.pk, ids[:3], now=NOW)
    assert len(first) == 3
    both = draw_arms(experiment.pk, ids, now=LATER)

    assert len(both) == Assignment.objects.count() == 5
    experiment.refresh_from_db()
    assert (experiment.status, experiment.ended_because) == ("stopped", Ending.LEARNERS)
    assert experiment.stopped_at == LATER
    assert draw_arms(experiment.pk, ids, now=LATER) == {}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["hash", "blocks"])
def test_workers_together_never_exceed_the_number(method: str) -> None:
    course = make_course()
    experiment = running_experiment(method=method, most_learners=7)
    ids = [make_enrollment(course).pk for _ in range(18)]
    barrier = threading.Barrier(3)

    def work(own: list[int]) -> None:
        try:
            barrier.wait(timeout=SECONDS_TO_FINISH)
            for each in own:
                draw_arms(experiment.pk, [each], now=NOW)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(ids[part::3],)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Assignment.objects.count() == 7
    experiment.refresh_from_db()
    assert experiment.status == "stopped"


def ended(**fields: object) -> tuple[Experiment, list[Assignment]]:
    experiment = running_experiment({"control": 0.4, "a": 0.3, "b": 0.3}, **fields)
    drawn = [assign(experiment, key, NOW) for key in ("control", "a", "b")]
    stop_experiment(experiment.pk, now=LATER)
    return experiment, drawn


def holding(drawn: list[Assignment]) -> list[str]:
    found = Assignment.objects.filter(pk__in=[each.pk for each in drawn]).order_by("pk")
    loaded = list(found.select_related("experiment"))
    arms = arms_now(loaded)
    names = dict(loaded[0].experiment.arms.values_list("pk", "key"))
    return [names[arms[each.pk] or 0] for each in loaded]


def test_after_the_end_everybody_keeps_the_arm_by_default() -> None:
    _, drawn = ended()
    assert holding(drawn) == ["control", "a", "b"]


def test_after_the_end_everybody_may_get_one_arm() -> None:
    _, drawn = ended(afterwards="one_arm", afterwards_arm="b")
    assert holding(drawn) == ["b", "b", "b"]
    # The draws stay.
    assert list(Assignment.objects.order_by("pk").values_list("arm__key", flat=True)) == [
        "control", "a", "b"
    ]  # fmt: skip


def test_after_the_end_the_control_gets_the_winner_once_it_is_named() -> None:
    experiment, drawn = ended(afterwards="winner")
    assert holding(drawn) == ["control", "a", "b"]
    name_winner(experiment.pk, "b", now=NOW)
    assert holding(drawn) == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("fields", "arm", "sentence"),
    [
        ({}, "a", "does not promise the winner"),
        ({"afterwards": "winner"}, "control", "one of these arms: a, b"),
        ({"afterwards": "winner"}, "c", "one of these arms: a, b"),
    ],
    ids=str,
)
def test_only_a_promised_winner_can_be_named(
    fields: dict[str, str], arm: str, sentence: str
) -> None:
    experiment, _ = ended(**fields)
    with pytest.raises(ProtocolError, match=sentence):
        name_winner(experiment.pk, arm, now=NOW)


def test_no_winner_is_named_while_the_experiment_runs() -> None:
    experiment = running_experiment(afterwards="winner")
    with pytest.raises(ProtocolError, match="Stop the experiment first"):
        name_winner(experiment.pk, "nudge", now=NOW)


def test_the_arm_for_everybody_is_one_of_the_arms() -> None:
    experiment = make_experiment(afterwards="one_arm", afterwards_arm="c")
    with pytest.raises(ProtocolError, match="is one of: control, nudge"):
        lock_protocol_and_run(experiment.pk, now=NOW)
