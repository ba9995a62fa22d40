"""Steps with branches: where a run goes on if a condition is true, and where if it is not."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from activity.access import COMMAND_LINE
from interventions.admin.way import way_through
from interventions.models import END_POSITION, Delivery, Run, Step
from interventions.operations import InterventionError, StepFields
from interventions.queries.sends_to_come import sends_to_come
from interventions.stages.plan import plan_due
from tests.factories import NOW, act
from tests.interventions.factories import make_cadence, make_evaluated, make_run, make_template
from tests.segmentation.factories import ACTED_TODAY

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def branching_cadence():
    """Return a cadence: first, then for active learners step 2, for others step 3, then 4."""
    template = make_template()
    return make_cadence(
        template=template,
        steps=[
            StepFields(template),
            StepFields(template, DAY, ACTED_TODAY, then=3, otherwise=2),
            StepFields(template),
            StepFields(template, 2 * DAY),
        ],
    )


def planned_of(run: Run) -> list[tuple[int, str, int]]:
    """Return the position, the state and the day of each planned step of the run."""
    rows = Delivery.objects.filter(run=run).order_by("planned_at", "step__position")
    return [(each.step.position, each.state, (each.planned_at - NOW).days) for each in rows]


def test_a_run_goes_on_by_the_condition_of_its_step() -> None:
    cadence = branching_cadence()
    idle = make_evaluated()
    active = make_evaluated(idle.course)
    act(active, occurred_at=NOW + DAY)
    runs = [make_run(each, cadence, next_at=NOW, next_position=0) for each in (active, idle)]

    plan_due(now=NOW)
    plan_due(now=NOW + DAY)
    plan_due(now=NOW + 5 * DAY)

    assert planned_of(runs[0]) == [(0, "planned", 0), (1, "planned", 1), (3, "planned", 3)]
    assert planned_of(runs[1]) == [
        (0, "planned", 0),
        (1, "dropped", 1),
        # Step 3 comes at the instant of the decision.
        (2, "planned", 1),
        (3, "planned", 3),
    ]


def test_the_forecast_takes_one_way_through_the_branches() -> None:
    enrollment = make_evaluated()
    make_run(enrollment, branching_cadence(), next_at=NOW, next_position=1)

    found = sends_to_come(enrollment.course, until=NOW + 9 * DAY, now=NOW, viewer=COMMAND_LINE)

    assert [each.at for each in found.sends] == [NOW, NOW + 2 * DAY]


def test_a_branch_to_the_end_ends_the_run() -> None:
    template = make_template()
    steps = [StepFields(template, then=END_POSITION), StepFields(template)]
    run = make_run(
        make_evaluated(), make_cadence(template=template, steps=steps), next_at=NOW, next_position=0
    )

    plan_due(now=NOW + 9 * DAY)

    assert planned_of(run) == [(0, "planned", 0)]
    run.refresh_from_db()
    assert (run.next_position, run.next_at) == (None, None)


def test_a_branch_to_a_removed_step_goes_to_the_one_after_it() -> None:
    cadence = branching_cadence()
    cadence.steps.get(position=2).delete()
    run = make_run(make_evaluated(), cadence, next_at=NOW, next_position=1)

    plan_due(now=NOW)

    run.refresh_from_db()
    assert (run.next_position, run.next_at) == (3, NOW + 2 * DAY)


@pytest.mark.parametrize(
    "values",
    [{"then_position": 1}, {"then_position": 0}, {"otherwise_position": 1}],
    ids=["itself", "back", "if not, itself"],
)
def test_the_table_itself_refuses_a_loop(values: dict) -> None:
    cadence = branching_cadence()

    with pytest.raises(IntegrityError, match="step_goes_forward"), transaction.atomic():
        cadence.steps.filter(position=1).update(**values)


def test_the_table_itself_refuses_an_if_not_without_a_condition() -> None:
    cadence = branching_cadence()

    with pytest.raises(IntegrityError, match="needs_a_condition"), transaction.atomic():
        cadence.steps.filter(position=0).update(otherwise_position=2)


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ({"then": 1}, "Step 2 goes on with step 2"),
        ({"condition": ACTED_TODAY, "otherwise": 0}, "Step 2 goes on with step 1"),
        ({"otherwise": 2}, "it has no condition"),
    ],
)
def test_a_branch_backwards_is_refused_with_its_step(step: dict, sentence: str) -> None:
    template = make_template()
    steps = [StepFields(template), StepFields(template, **step), StepFields(template)]

    with pytest.raises(InterventionError, match=sentence):
        make_cadence(template=template, steps=steps)


@pytest.mark.slow
@given(st.data())
def test_every_run_ends_whatever_the_branches_are(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    steps = []
    for place in range(count):
        later_place = st.none() | st.integers(place + 1, count + 1)
        steps.append(
            Step(
                position=place,
                then_position=data.draw(later_place),
                otherwise_position=data.draw(later_place),
            )
        )

    position, visited = 0, []
    while position < count:
        visited.append(position)
        position = steps[position].following(met=data.draw(st.booleans()))

    assert visited == sorted(set(visited))


def test_the_way_says_when_if_and_where_it_goes_on() -> None:
    cadence = branching_cadence()

    way = way_through(list(cadence.steps.select_related("template").order_by("position")))

    assert [each.when for each in way] == [
        "at once",
        "1 day later",
        "at the same time",
        "2 days later",
    ]
    assert (way[1].then, way[1].otherwise) == ("step 4", "step 3")
    assert way[1].condition
    assert [each.note for each in way] == [
        "",
        "",
        "",
        "Comes after step 2 and step 3.",
    ]
    assert way[3].then == "the end"


def test_the_way_names_a_step_to_which_no_way_leads() -> None:
    template = make_template()
    steps = [StepFields(template, then=2), StepFields(template), StepFields(template)]
    cadence = make_cadence(template=template, steps=steps)

    way = way_through(list(cadence.steps.select_related("template").order_by("position")))

    assert way[1].note == "No way leads to this step, so it is never sent."
