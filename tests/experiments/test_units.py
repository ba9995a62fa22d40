"""The rows of an experiment: each learner once, with the numbers of the report."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from activity.access import COMMAND_LINE
from activity.models import Section
from activity.operations import ingest
from experiments.exports.bundle import Bundle
from experiments.exports.cells import FORMS
from experiments.exports.hiding import HiddenError, Place
from experiments.exports.notebook.reading import Data
from experiments.exports.notebook.report import beside
from experiments.exports.rows import Row
from experiments.metrics.definitions import METRICS, MORE_METRICS, WEEK, metric_definition
from experiments.metrics.outcomes import KINDS, Observed
from experiments.models import Assignment, Experiment, SectionDraw, Stratum
from experiments.operations import AssignedDelivery, record_delivery_outcomes
from experiments.protocol import digest, protocol_text, read_protocol
from experiments.queries import aggregates_by_arm, bundle_of
from tests.experiments.factories import assign, make_segment, running_experiment
from tests.experiments.test_recompute import unpack
from tests.factories import NOW, act, make_course, make_enrollment, make_event, make_item

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AS_OF = NOW + 2 * WEEK


def with_all_outcomes(experiment: Experiment) -> Experiment:
    """Return the experiment with every outcome that a protocol can choose."""
    protocol = read_protocol(experiment.protocol)
    metrics = tuple(map(metric_definition, (*METRICS, *MORE_METRICS)))
    text = protocol_text(type(protocol)(**{**vars(protocol), "metrics": metrics}))
    Experiment.objects.filter(pk=experiment.pk).update(protocol=text, protocol_sha256=digest(text))
    experiment.refresh_from_db()
    return experiment


def random_history(seed: int, *, learners: int = 40) -> Experiment:
    """Return an experiment whose learners were drawn and did things at random."""
    random = Random(seed)
    course = make_course()
    experiment = with_all_outcomes(running_experiment(segment=make_segment(course)))
    module = make_item(course, "module")
    sections = [Section.objects.create(course=course, key=f"s{number}") for number in range(3)]
    events, deliveries = [], []
    for number in range(learners):
        arm = ("control", "nudge")[number % 2]
        left = NOW + random.randrange(20) * DAY if random.random() < 0.2 else None
        learner = make_enrollment(
            course, section=random.choice(sections), withdrew_at=left,
            enrolled_at=NOW - random.randrange(4, 12) * DAY,
        )  # fmt: skip
        drawn = assign(experiment, arm, NOW + random.randrange(13) * DAY, learner)
        for _ in range(random.randrange(6)):
            verb = random.choice(
                ["ATTEMPT_QUIZ", "ATTEMPT_QUIZ", "COMPLETE_MODULE", "LOGIN", "UNSUBSCRIBED"]
            )
            at = drawn.assigned_at + random.randrange(-200, 300) * HOUR
            score = {"score": 0.5, "passed": random.random() < 0.5}
            more: dict[str, Any] = {"item": module} if verb == "COMPLETE_MODULE" else {}
            more |= score if verb == "ATTEMPT_QUIZ" and random.random() < 0.8 else {}
            if at < AS_OF:
                events.append(make_event(learner, verb, occurred_at=at, **more))
        if random.random() < 0.7:
            deliveries.append((drawn, arm, drawn.assigned_at + random.randrange(60) * HOUR))
    assert ingest(events, now=AS_OF).stored == len(events)
    for drawn, arm, at in deliveries:
        outcome = "ghost" if arm == "control" else "handed_off"
        record_delivery_outcomes([AssignedDelivery(drawn.pk, uuid4(), "")], outcome=outcome, at=at)
    return experiment


def bundle(experiment: Experiment, as_of: Any = AS_OF) -> Bundle:
    with transaction.atomic():
        return bundle_of(experiment, as_of=as_of, viewer=COMMAND_LINE)


def of_arm(rows: list[Row], arm: str, place: int) -> Counter[tuple[Any, ...]]:
    numbers = (row.numbers[place] for row in rows if row.place.arm == arm)
    return Counter(tuple(each) for each in numbers if each is not None)


def text(observed: Observed) -> str:
    sums = observed.sums
    return (
        f"{observed.n} {observed.tally} {sorted(sums.items()) if isinstance(sums, dict) else sums}"
    )


@pytest.mark.slow
def test_rows_have_the_numbers_of_the_report(django_assert_num_queries: Any) -> None:
    experiment = random_history(0)
    # Two of a savepoint, segment and playbook, the courses, their holds, the outcomes, those from a
    # message on, the deliveries, and the places. Django does not count the rows, which come from a
    # cursor of the server.
    with django_assert_num_queries(10):
        found = bundle(experiment)
        rows = list(found.rows)
    plan = found.plan

    expected = aggregates_by_arm(experiment.pk, metrics=list(plan.read), as_of=AS_OF)
    anchored = aggregates_by_arm(experiment.pk, metrics=[plan.primary], as_of=AS_OF, anchored=True)
    for arm in ("control", "nudge"):
        for place, metric in enumerate(plan.read):
            seen = metric.observe(of_arm(rows, arm, place))
            assert text(seen) == text(expected[arm].observed[metric.key]), metric.key
        of_messages = Counter(
            tuple(row.anchored) for row in rows if row.place.arm == arm and row.anchored is not None
        )
        assert plan.primary.observe(of_messages) == anchored[arm].observed[plan.primary.key]
        assert 0 < of_messages.total() < of_arm(rows, arm, 0).total() < 20
    keys = list(Assignment.objects.order_by("id").values_list("unit_key", "enrollment__section"))
    in_order = sorted(keys, key=lambda each: digest(f"{experiment.protocol_sha256}{each[0]}"))
    assert [row.place.section for row in rows] == [section for _, section in in_order]
    assert in_order != keys


@pytest.mark.long("tests/experiments/test_recompute.py::test_every_number_follows_from_the_rows")
@pytest.mark.slow
def test_every_number_of_the_report_follows_from_the_file(tmp_path: Path) -> None:
    found = bundle(random_history(1))

    compared = list(beside(Data.read(unpack(found, tmp_path))))

    assert [each for each in compared if not each[-1]] == []
    assert len(compared) > 100


def test_few_learners_of_an_arm_are_not_written_down() -> None:
    experiment = running_experiment(segment=make_segment(make_course()))
    for arm, number in (("control", 5), ("nudge", 4)):
        for _ in range(number):
            assign(experiment, arm, NOW)

    with pytest.raises(HiddenError, match="Too few learners were drawn into “nudge”"):
        bundle(experiment)
    assign(experiment, "nudge", NOW)
    assert len(list(bundle(experiment).rows)) == 10
    # Nobody is singled out where nobody is.
    Assignment.objects.filter(arm__key="control").delete()
    assert len(list(bundle(experiment).rows)) == 5


def test_every_kind_of_outcome_has_its_cells() -> None:
    assert FORMS.keys() == KINDS.keys()


def test_events_after_the_instant_do_not_count() -> None:
    experiment = running_experiment(segment=make_segment(make_course()))
    drawn = [assign(experiment, arm, NOW) for arm in ("control", "nudge") for _ in range(5)]
    act(drawn[-1].enrollment, "ATTEMPT_QUIZ", occurred_at=NOW + DAY)

    early, late = (bundle(experiment, at) for at in (NOW + WEEK - HOUR, NOW + WEEK))

    assert [row.numbers[0] for row in early.rows] == [None] * 10
    assert of_arm(list(late.rows), "nudge", 0) == {(1,): 1, (0,): 4}


def test_rows_hold_the_section_and_the_stratum_of_the_draw() -> None:
    course = make_course()
    experiment = running_experiment(segment=make_segment(course))
    before, today = (Section.objects.create(course=course, key=key) for key in ("a", "b"))
    strata = [Stratum.objects.create(experiment=experiment, key=key) for key in ("x", "y")]
    for arm in experiment.arms.all():
        whole = SectionDraw.objects.create(
            experiment=experiment, section=before, unit="a", arm=arm, stratum=strata[0],
            position=0, bucket=0, size=5, at=NOW,
        ) if arm.is_control else None  # fmt: skip
        for position in range(5):
            drawn = assign(experiment, arm.key, NOW, make_enrollment(course, section=today))
            drawn.section_draw = whole
            if whole is None:
                drawn.stratum, drawn.position = strata[1], position
            drawn.save()

    found = bundle(experiment)

    assert Counter(row.place for row in found.rows) == {
        Place("control", before.pk, NOW.date(), strata[0].pk): 5,
        Place("nudge", today.pk, NOW.date(), strata[1].pk): 5,
    }
