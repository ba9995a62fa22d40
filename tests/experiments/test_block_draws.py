"""Draws in permuted blocks: balanced, without a gap, whoever draws at the same time."""

import threading
from collections import Counter
from datetime import timedelta
from itertools import islice

import pytest
from django.db import connection, transaction

from experiments.models import Assignment, Experiment, Stratum
from experiments.operations import check_experiment, draw_arms
from experiments.protocol import ProtocolError, read_protocol
from experiments.randomize.blocks import Blocks, Place
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import HALVES, make_experiment, make_segment, running_experiment
from tests.factories import NOW, act, make_course, make_enrollment, make_learner
from tests.processes import SECONDS_TO_FINISH, running, start_python, wait_for_line

pytestmark = pytest.mark.django_db


def positions(experiment: Experiment) -> dict[str, list[int]]:
    rows = Assignment.objects.filter(experiment=experiment).order_by("stratum", "position")
    found: dict[str, list[int]] = {}
    for key, position in rows.values_list("stratum__key", "position"):
        found.setdefault(key, []).append(position)
    return found


def is_without_gap(experiment: Experiment) -> bool:
    drawn = dict(Stratum.objects.filter(experiment=experiment).values_list("key", "drawn"))
    found = positions(experiment)
    return all(found.get(key, []) == list(range(number)) for key, number in drawn.items())


def replayed(experiment: Experiment, stratum: str, number: int) -> list[str]:
    protocol = read_protocol(experiment.protocol)
    blocks = Blocks.of(
        {arm.key: arm.weight for arm in protocol.arms},
        seed=protocol.seed,
        multiples=protocol.design.block_multiples,
    )
    return [arm for arm, _ in islice(blocks.arms_from(stratum, Place()), number)]


def test_arms_follow_the_blocks_of_each_stratum() -> None:
    course = make_course()
    regions = ["Wales", "Kent", "Wales", "Wales", "Kent", None, "Wales"]
    drawn = []
    experiment = running_experiment(
        segment=make_segment(course), method="blocks", strata="trait region"
    )
    for region in regions:
        learner = make_learner(traits={"region": region} if region else {})
        drawn.append(make_enrollment(course, learner).pk)
    for part in (drawn[:3], drawn[3:], drawn):
        draw_arms(experiment.pk, part, now=NOW)

    assert positions(experiment) == {
        '["Wales"]': [0, 1, 2, 3], '["Kent"]': [0, 1], "[null]": [0]
    }  # fmt: skip
    assert is_without_gap(experiment)
    for stratum, number in (('["Wales"]', 4), ('["Kent"]', 2), ("[null]", 1)):
        rows = Assignment.objects.filter(stratum__key=stratum).order_by("position")
        found = list(rows.values_list("arm__key", flat=True))
        assert found == replayed(experiment, stratum, number)


def test_numbers_are_cut_at_the_start_and_stay_so() -> None:
    course = make_course()
    for credit in (30, 60, 60, 90, 120, 120):
        make_enrollment(course, make_learner(traits={"credits": credit}))
    experiment = running_experiment(
        segment=make_segment(course),
        method="blocks",
        strata="course\ntrait credits in 3 parts",
        now=NOW,
    )

    (_, numeric) = read_protocol(experiment.protocol).design.strata
    assert numeric.cuts == (60.0, 90.0)
    late = make_enrollment(course, make_learner(traits={"credits": 61}))
    draw_arms(experiment.pk, [late.pk], now=NOW)
    assert Stratum.objects.get().key == f'["{course.key}",2]'


def test_signals_are_cut_and_read_at_the_draw() -> None:
    course = make_course()
    idle, busy, later = (make_enrollment(course) for _ in range(3))
    act(busy, occurred_at=NOW - timedelta(hours=1))
    experiment = running_experiment(
        segment=make_segment(course), method="blocks", strata="active_days 7 in 2 parts"
    )
    (covariate,) = read_protocol(experiment.protocol).design.strata
    assert covariate.cuts == (0.0,)

    # Active since the start: the cut stays, the value is the one at the draw.
    act(later, occurred_at=NOW + timedelta(hours=1))
    drawn = draw_arms(experiment.pk, [idle.pk, busy.pk, later.pk], now=NOW + timedelta(hours=2))
    strata = {pk: row.stratum.key for pk, row in drawn.items() if row.stratum is not None}
    assert strata == {idle.pk: "[1]", busy.pk: "[2]", later.pk: "[2]"}


def test_numbers_that_nobody_has_cannot_be_cut() -> None:
    course = make_course()
    make_enrollment(course, make_learner(traits={"credits": "60"}))
    experiment = make_experiment(
        segment=make_segment(course), method="blocks", strata="trait credits in 2 parts"
    )
    for step in (check_experiment, lock_protocol_and_run):
        with pytest.raises(ProtocolError, match="has a number for “Trait credits” yet"):
            step(experiment.pk, now=NOW)


def test_coverage_of_blocks_grows_without_moving_anybody() -> None:
    course = make_course()
    experiment = running_experiment(segment=make_segment(course), method="blocks", coverage="0.5")
    ids = [make_enrollment(course).pk for _ in range(40)]
    before = draw_arms(experiment.pk, ids, now=NOW)
    Experiment.objects.update(coverage=1)
    after = draw_arms(experiment.pk, ids, now=NOW)

    assert 5 < len(before) < 35
    assert sorted(after) == ids
    assert all(after[pk] == drawn for pk, drawn in before.items())
    assert is_without_gap(experiment)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"weights": {"control": 0.013, "nudge": 0.987}}, "No block of at most 60"),
        ({"strata": "shoe size"}, "“shoe size” cannot be read"),
        ({"strata": "active_days 7"}, "in 3 parts"),
        ({"strata": "active_days in 2 parts"}, "needs a number of days"),
        ({"strata": "course in 2 parts"}, "a course is no number"),
        ({"strata": "trait a in 30 parts"}, "from 2 to 10 parts"),
        ({"strata": "trait a\ntrait a"}, "twice"),
        ({"strata": "trait a\ntrait b\ntrait c\ntrait d\ncourse"}, "at most 4 lines"),
        ({"method": "hash", "strata": "course"}, "Only draws in balanced blocks have strata"),
    ],
    ids=str,
)
def test_a_start_refuses_strata_that_cannot_be_drawn_by(
    fields: dict[str, object], sentence: str
) -> None:
    experiment = make_experiment(**{"method": "blocks", **fields})  # type: ignore[arg-type]

    with pytest.raises(ProtocolError, match=sentence):
        lock_protocol_and_run(experiment.pk, now=NOW)


@pytest.fixture
def crowd() -> tuple[Experiment, list[int]]:
    course = make_course()
    experiment = running_experiment(
        HALVES, segment=make_segment(course), method="blocks", strata="trait group"
    )
    learners = [make_learner(traits={"group": number % 2}) for number in range(24)]
    return experiment, [make_enrollment(course, learner).pk for learner in learners]


@pytest.mark.django_db(transaction=True)
def test_draws_at_the_same_moment_balance_every_block(
    crowd: tuple[Experiment, list[int]],
) -> None:
    experiment, ids = crowd
    barrier = threading.Barrier(3)

    def work(own: list[int]) -> None:
        try:
            barrier.wait(timeout=SECONDS_TO_FINISH)
            for place in range(0, len(own), 2):
                # Each takes places in both strata, and some learners are drawn by two workers.
                draw_arms(experiment.pk, own[place : place + 2], now=NOW)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(part,)) for part in (ids[:16], ids[8:], ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Assignment.objects.count() == 24
    assert is_without_gap(experiment)
    for stratum, places in positions(experiment).items():
        rows = Assignment.objects.filter(stratum__key=stratum).order_by("position")
        found = list(rows.values_list("arm__key", flat=True))
        assert found == replayed(experiment, stratum, len(places))


@pytest.mark.django_db(transaction=True)
def test_a_drawer_that_fails_leaves_no_gap(crowd: tuple[Experiment, list[int]]) -> None:
    experiment, ids = crowd
    draw_arms(experiment.pk, ids[:5], now=NOW)
    transaction.set_autocommit(False)
    assert len(draw_arms(experiment.pk, ids[5:12], now=NOW)) == 7
    transaction.rollback()
    transaction.set_autocommit(True)
    draw_arms(experiment.pk, ids[12:], now=NOW)

    assert Assignment.objects.count() == 17
    assert is_without_gap(experiment)


DRAW_AND_WAIT = """
import sys, time
from django.db import transaction
from common.clock import utc_now
from experiments.operations import check_experiment, draw_arms
number, *ids = map(int, sys.argv[1:])
with transaction.atomic():
    draw_arms(number, ids, now=utc_now())
    print("drawn", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_drawer_that_is_killed_leaves_no_gap(crowd: tuple[Experiment, list[int]]) -> None:
    experiment, ids = crowd
    draw_arms(experiment.pk, ids[:5], now=NOW)
    process = start_python(DRAW_AND_WAIT, *map(str, [experiment.pk, *ids[5:12]]))
    with running(process):
        wait_for_line(process, "drawn")
    # It waits for the locks of the dead until the database has noticed.
    draw_arms(experiment.pk, ids[10:], now=NOW)

    assert Assignment.objects.count() == 5 + 14
    assert is_without_gap(experiment)


def test_a_stratum_has_as_many_of_each_arm_after_a_block() -> None:
    course = make_course()
    experiment = running_experiment(
        {"a": 0.25, "b": 0.75},
        control="a",
        segment=make_segment(course),
        method="blocks",
        block_sizes="smallest",
    )
    drawn = draw_arms(experiment.pk, [make_enrollment(course).pk for _ in range(12)], now=NOW)

    rows = sorted(drawn.values(), key=lambda each: each.position or 0)
    for first in (0, 4, 8):
        assert Counter(row.arm.key for row in rows[first : first + 4]) == {"a": 1, "b": 3}


def test_blocks_need_a_fixed_number_of_queries(django_assert_num_queries) -> None:
    course = make_course()
    experiment = running_experiment(
        segment=make_segment(course), method="blocks", strata="trait region"
    )
    ids = [
        make_enrollment(course, make_learner(traits={"region": number % 5})).pk
        for number in range(20)
    ]
    # Savepoint and its release, experiment, assignments, units, courses, signals; the strata, the
    # new ones, their locks, their update; arms, insert, assignments.
    with django_assert_num_queries(14):
        assert len(draw_arms(experiment.pk, ids, now=NOW)) == 20
