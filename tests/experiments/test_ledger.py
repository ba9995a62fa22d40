"""The ledger: every draw is sealed and comes out again, and what was changed is named."""

import json
import threading
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from activity.models import Course, Enrollment, Learner
from experiments.ledger import LedgerError
from experiments.ledger.snapshots import Snapshot
from experiments.models import Assignment, ExclusionLayer, Experiment, LedgerEntry, SectionDraw
from experiments.operations import (
    draw_arms,
    ledger_lines,
    record_deviation,
    record_snapshot,
    restore_ledger,
    seal_draws,
    seal_due,
    stop_experiment,
)
from experiments.protocol import ProtocolError
from experiments.queries import report, verify_experiment
from experiments.randomize.hash import bucket_of
from interventions.stages.recover import recover
from tests.experiments.factories import make_experiment, make_segment, running_experiment
from tests.experiments.test_section_draws import make_section, section_experiment
from tests.factories import NOW, make_course, make_enrollment, make_learner
from tests.processes import SECONDS_TO_FINISH

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


def by_hash(course: Course) -> Experiment:
    layer = ExclusionLayer.objects.create(key="mails", name="Mails")
    return running_experiment(
        segment=make_segment(course), key="hash", layer=layer, layer_start="0.1", layer_end="1"
    )


def in_blocks(course: Course) -> Experiment:
    return running_experiment(
        segment=make_segment(course), key="blocks", method="blocks", strata="trait group"
    )


def by_section(course: Course) -> Experiment:
    for number in range(4):
        make_section(course, f"class-{number}", size=number + 1)
    return section_experiment(course, key="sections")


@pytest.fixture(params=[by_hash, in_blocks, by_section])
def sealed(request: pytest.FixtureRequest) -> Experiment:
    """Return an experiment with draws in two entries and three that are not sealed."""
    course = make_course()
    experiment = request.param(course)
    learners = [make_learner(traits={"group": number % 2}) for number in range(12)]
    sections = list(course.sections.order_by("pk")) or [None]
    ids = [
        make_enrollment(course, learner, section=sections[place % len(sections)]).pk
        for place, learner in enumerate(learners)
    ]
    for first, last in ((0, 5), (5, 9), (9, 12)):
        draw_arms(experiment.pk, ids[first:last], now=NOW)
        if last < 12:
            assert seal_draws(experiment.pk, now=LATER) > 0
    return experiment


def fault(experiment: Experiment) -> str:
    return verify_experiment(experiment.key).difference


def test_draws_come_out_again_sealed_or_not(sealed: Experiment) -> None:
    found = verify_experiment(sealed.key)
    assert found.difference == ""
    assert found.entries == 3
    assert (found.draws, found.unsealed) == (
        Assignment.objects.filter(entry__isnull=False).count(),
        Assignment.objects.filter(entry__isnull=True).count(),
    )
    assert min(found.draws, found.unsealed) > 0
    assert found.sections == SectionDraw.objects.count()

    stop_experiment(sealed.pk, now=LATER)
    after = verify_experiment(sealed.key)
    assert (after.difference, after.entries, after.unsealed) == ("", 5, 0)
    assert after.draws == found.draws + found.unsealed


def test_entries_are_chained_and_sealing_is_repeatable(sealed: Experiment) -> None:
    stop_experiment(sealed.pk, now=LATER)
    assert seal_draws(sealed.pk, now=LATER) == 0
    rows = list(LedgerEntry.objects.order_by("position"))

    assert [row.kind for row in rows] == ["protocol", "draws", "draws", "state", "draws"]
    assert all(first.sha256 == second.previous_sha256 for first, second in pairwise(rows))


def test_other_entries_stand_in_the_same_chain(sealed: Experiment) -> None:
    record_deviation(sealed.pk, what="The coverage is 0.5 and was 0.2.", now=LATER)
    record_snapshot(
        sealed.pk, content=Snapshot.of(report(sealed, as_of=LATER)).content(), now=LATER
    )

    assert fault(sealed) == ""
    assert list(LedgerEntry.objects.order_by("position").values_list("kind", flat=True))[-2:] == [
        "deviation", "snapshot"
    ]  # fmt: skip
    LedgerEntry.objects.filter(kind="deviation").update(content='{"what":"Nothing."}')
    assert fault(sealed).startswith("Entry 3 of the ledger (deviation) was changed")


def swap(row: Assignment | SectionDraw) -> None:
    row.arm = row.experiment.arms.exclude(pk=row.arm_id).get()
    row.save()


@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "not sealed"])
@pytest.mark.sampled("by_hash-sealed", "by_section-sealed", "in_blocks-not sealed")
def test_a_swapped_arm_is_named(sealed: Experiment, is_sealed: bool) -> None:
    row = Assignment.objects.filter(entry__isnull=not is_sealed).order_by("pk")[0]
    before = row.arm.key
    swap(row)

    expected = f"but '{before}' was sealed" if is_sealed else f"its draw gives {before}"
    assert expected in fault(sealed)
    assert str(row.unit_key) in fault(sealed)


def test_a_changed_row_is_named(sealed: Experiment) -> None:
    row = Assignment.objects.filter(entry__isnull=False).order_by("-pk")[0]
    Assignment.objects.filter(pk=row.pk).update(assigned_at=LATER)

    assert f"The draw of the unit {row.unit_key} has the at '2025-09-30T13" in fault(sealed)
    assert "in entry 2" in fault(sealed)


def test_a_removed_row_is_named(sealed: Experiment) -> None:
    row = Assignment.objects.filter(entry__isnull=False).order_by("pk")[0]
    Assignment.objects.filter(pk=row.pk).delete()

    assert fault(sealed) == (
        f"The draw of the unit {row.unit_key} in entry 1 is no longer in the table."
    )


def test_a_row_that_only_claims_to_be_sealed_is_noticed(sealed: Experiment) -> None:
    entry = LedgerEntry.objects.order_by("position")[1]
    row = Assignment.objects.filter(entry__isnull=True).order_by("pk")[0]
    Assignment.objects.filter(pk=row.pk).update(entry=entry)

    assert "draws are marked as sealed, but the ledger holds" in fault(sealed)


def test_an_edited_protocol_is_named(sealed: Experiment) -> None:
    edited = json.loads(sealed.protocol)
    edited["promise"]["hypothesis"] = "The other way round"
    Experiment.objects.filter(pk=sealed.pk).update(protocol=json.dumps(edited))

    assert fault(sealed) == (
        "The protocol is not the one that was locked: promise.hypothesis is "
        '"The other way round", and was "" at the start.'
    )
    Experiment.objects.filter(pk=sealed.pk).update(protocol=sealed.protocol, protocol_sha256="0")
    assert "does not have the digest" in fault(sealed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"content": '{"sections":[],"units":[]}'}, "Entry 1 of the ledger (draws) was changed"),
        ({"sha256": "0" * 64}, "Entry 1 of the ledger (draws) was changed"),
        ({"position": 9}, "Entry 1 of the ledger is missing: 2 follows"),
        ({"at": LATER + timedelta(days=1)}, "Entry 1 of the ledger (draws) was changed"),
    ],
    ids=str,
)
@pytest.mark.sampled(3)
def test_a_changed_entry_is_named(
    sealed: Experiment, change: dict[str, Any], sentence: str
) -> None:
    LedgerEntry.objects.filter(position=1).update(**change)
    assert sentence in fault(sealed)


def test_a_section_that_was_swapped_is_named() -> None:
    experiment = by_section(make_course())
    draw_arms(experiment.pk, [Enrollment.objects.order_by("pk")[0].pk], now=NOW)
    row = SectionDraw.objects.order_by("position")[0]
    swap(row)
    assert fault(experiment).endswith(
        f"was drawn into {row.arm.key}, but its draw gives {other(row)}."
    )

    swap(row)
    seal_draws(experiment.pk, now=LATER)
    assert fault(experiment) == ""
    SectionDraw.objects.filter(pk=row.pk).update(size=99)
    assert "has the size 99, but 4 was sealed" in fault(experiment)


def other(row: SectionDraw) -> str:
    return row.experiment.arms.exclude(pk=row.arm_id).get().key


def test_a_learner_of_another_part_of_the_layer_is_named() -> None:
    course = make_course()
    experiment = by_hash(course)
    drawn = draw_arms(experiment.pk, [make_enrollment(course).pk for _ in range(8)], now=NOW)
    row = min(drawn.values(), key=lambda each: each.pk)
    seed = ExclusionLayer.objects.get().seed
    outside = next(unit for unit in range(10**6) if bucket_of(str(unit), seed=seed) < 1000)
    Assignment.objects.filter(pk=row.pk).update(layer_unit=outside)

    assert fault(experiment) == (
        f"The unit {row.unit_key} is outside the experiment's part of its layer."
    )


def test_a_gap_in_a_stratum_is_named() -> None:
    course = make_course()
    experiment = in_blocks(course)
    ids = [make_enrollment(course).pk for _ in range(5)]
    draw_arms(experiment.pk, ids, now=NOW)
    Assignment.objects.filter(position=2).delete()

    assert fault(experiment) == "The stratum [null] has no draw at position 2."


def remove(experiment: Experiment) -> None:
    """Make the database as empty as a fresh one."""
    Assignment.objects.all().delete()
    SectionDraw.objects.all().delete()
    Experiment.objects.all().delete()
    Enrollment.objects.all().delete()
    Learner.objects.all().delete()
    Course.objects.all().delete()


def test_a_broken_file_restores_nothing(sealed: Experiment) -> None:
    lines = list(ledger_lines(sealed.key, now=LATER))
    remove(sealed)
    for broken, sentence in (
        ([*lines[:1], *lines[2:]], "Entry 1 of the ledger is missing"),
        ([lines[0].replace("control", "c0ntrol"), *lines[1:]], "was changed"),
        (["{}"], "no entry of a ledger"),
        ([], "has no entry"),
    ):
        with pytest.raises(LedgerError, match=sentence), transaction.atomic():
            restore_ledger(broken)
    assert not Experiment.objects.exists()


def test_only_a_started_experiment_can_be_verified() -> None:
    draft = make_experiment()
    with pytest.raises(ProtocolError, match="never started"):
        verify_experiment(draft.key)
    with pytest.raises(ProtocolError, match="no experiment with the key"):
        verify_experiment("nothing")


def test_the_commands_say_what_they_found(tmp_path: Path) -> None:
    course = make_course()
    experiment = in_blocks(course)
    draw_arms(experiment.pk, [make_enrollment(course).pk for _ in range(4)], now=NOW)
    out = StringIO()
    path = tmp_path / "ledger.jsonl"
    call_command("export_ledger", "blocks", out=path, stdout=out)
    call_command("verify_experiment", "blocks", stdout=out)
    assert "2 entries are in" in out.getvalue()
    assert "All agrees: 4 draws and the numbers of 0 kept reports come out" in out.getvalue()
    assert "Not sealed yet: 0 draws." in out.getvalue()

    swap(Assignment.objects.order_by("pk")[0])
    out = StringIO()
    with pytest.raises(CommandError, match="was sealed in entry 1"):
        call_command("verify_experiment", "blocks", json=True, stdout=out)
    assert json.loads(out.getvalue())["draws"] == 4

    with pytest.raises(CommandError, match=r"already\. Nothing was restored"):
        call_command("restore_ledger", path)
    remove(experiment)
    call_command("restore_ledger", path, stdout=out)
    call_command("verify_experiment", "blocks", stdout=out)


def test_the_beat_seals_all_experiments() -> None:
    course = make_course()
    one, two = in_blocks(course), by_hash(course)
    ids = [make_enrollment(course).pk for _ in range(6)]
    drawn = [len(draw_arms(each.pk, ids, now=NOW)) for each in (one, two)]

    assert seal_due(now=LATER, budget=10) == sum(drawn)
    assert seal_due(now=LATER, budget=10) == 0
    assert not Assignment.objects.filter(entry__isnull=True).exists()


@pytest.mark.django_db(transaction=True)
def test_the_stage_recover_seals_draws_and_ends_experiments() -> None:
    course = make_course()
    experiment = running_experiment(segment=make_segment(course), ends_at=LATER)
    draw_arms(experiment.pk, [make_enrollment(course).pk], now=NOW)
    recover(now=NOW.replace(minute=6))
    assert Assignment.objects.filter(entry__isnull=True).count() == 1
    recover(now=NOW.replace(minute=7))
    assert Assignment.objects.filter(entry__isnull=True).count() == 0
    recover(now=LATER)

    experiment.refresh_from_db()
    assert (experiment.status, experiment.ended_because) == ("stopped", "date")


@pytest.mark.django_db(transaction=True)
def test_sealing_waits_for_no_draw_and_no_draw_for_it() -> None:
    course = make_course()
    experiment = running_experiment(segment=make_segment(course), key="open", method="blocks")
    ids = [make_enrollment(course).pk for _ in range(9)]
    draw_arms(experiment.pk, ids[:3], now=NOW)
    found: list[object] = []

    def work() -> None:
        try:
            # The other transaction holds the ledger and the sealed rows.
            found.append(seal_draws(experiment.pk, now=LATER))
            found.append(len(draw_arms(experiment.pk, ids[3:6], now=NOW)))
        finally:
            connection.close()

    with transaction.atomic():
        assert seal_draws(experiment.pk, now=LATER) == 3
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(timeout=SECONDS_TO_FINISH)
        assert found == [0, 3]
    assert seal_draws(experiment.pk, now=LATER) == 3
    assert fault(experiment) == ""
