"""The admin pages of experiments: the actions of course admins, and the refusals."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.contrib.postgres.constraints import ExclusionConstraint
from django.db.models import BaseConstraint, CheckConstraint, UniqueConstraint
from django.test import Client
from django.urls import reverse

from activity import access
from activity.models import Course
from experiments.analyses import USUAL_PRIMARY
from experiments.forms import ONE_POPULATION, POPULATION, SHARE
from experiments.models import (
    ARM_KEY_ONCE,
    ARM_ONE_CONTROL,
    ARM_POSITION_ONCE,
    Arm,
    Experiment,
)
from experiments.operations import stop_experiment
from tests.experiments.factories import make_experiment, make_segment, running_experiment
from tests.factories import NOW, make_course

pytestmark = pytest.mark.django_db

LISTED = reverse("admin:experiments_experiment_changelist")
ADD = reverse("admin:experiments_experiment_add")
STOPPED_AT = datetime(2025, 10, 26, 23, 0, tzinfo=UTC)
CLOCK_STOPPED = (
    "The course Demo is simulated and its clock stopped on Sunday 26 October 2025, 23:00 "
    "(Europe/London)"
)

Row = Mapping[str, Any]


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def arm_row(key: str, weight: object = "0.5", *, position: int = 0, **more: Any) -> dict[str, Any]:
    return {"key": key, "name": "", "weight": weight, "position": position, **more}


CONTROL = arm_row("control", is_control="on")
NUDGE = arm_row("nudge", position=1)


def experiment_form(arms: Sequence[Row], *, initial: int = 0, **fields: Any) -> dict[str, Any]:
    form = {"key": "new", "name": "New", "hypothesis": "", "segment": "", "playbook": ""}
    form |= {"unit": "enrollment", "method": "hash", "seed": "s", "coverage": "1"}
    form |= {"block_sizes": "varying", "section_rule": "keep", "afterwards": "keep"}
    form |= {"primary_outcome": USUAL_PRIMARY}
    form |= {"arms-TOTAL_FORMS": len(arms), "arms-INITIAL_FORMS": initial}
    for place, row in enumerate(arms):
        form |= {f"arms-{place}-{name}": value for name, value in row.items()}
    return {**form, **fields}


def add(staff: Client, arms: Sequence[Row], **fields: Any) -> Any:
    fields = {"segment": make_segment().pk} | fields
    return staff.post(ADD, experiment_form(arms, **fields))


def change(staff: Client, experiment: Experiment, *rows: Row, **fields: Any) -> Any:
    """Post the page of a draft. `rows` are its arms by key."""
    kept = dict(experiment.arms.values_list("key", "pk"))
    arms = [
        {"id": kept.get(row.get("was", row["key"]), ""), "experiment": experiment.pk, **row}
        for row in rows
    ]
    own = {"key": experiment.key, "name": experiment.name, "segment": experiment.segment_id}
    form = experiment_form(arms, initial=sum(bool(row["id"]) for row in arms), **own | fields)
    return staff.post(reverse("admin:experiments_experiment_change", args=(experiment.pk,)), form)


def act(staff: Client, action: str, *experiments: Experiment) -> list[str]:
    chosen = [experiment.pk for experiment in experiments]
    response = staff.post(LISTED, {"action": action, "_selected_action": chosen})
    return messages_of(response)


def messages_of(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def arm_errors(response: Any) -> list[dict[str, list[str]]]:
    (formset,) = response.context["inline_admin_formsets"]
    return formset.formset.errors


def experiment_errors(response: Any) -> dict[str, list[str]]:
    return response.context["adminform"].form.errors


def control_of(experiment: Experiment) -> list[str]:
    return list(experiment.arms.filter(is_control=True).values_list("key", flat=True))


def test_a_second_control_is_refused_at_its_field(staff: Client) -> None:
    response = add(staff, [CONTROL, NUDGE | {"is_control": "on"}])

    assert response.status_code == 200
    assert arm_errors(response) == [{}, {"is_control": [ARM_ONE_CONTROL]}]
    assert ARM_ONE_CONTROL in response.content.decode()
    assert not Experiment.objects.exists()


@pytest.mark.parametrize("order", [("control", "nudge"), ("nudge", "control")], ids=str)
def test_the_control_of_a_draft_is_moved_to_another_arm(
    staff: Client, order: tuple[str, str]
) -> None:
    experiment = make_experiment({order[0]: 0.5, order[1]: 0.5})
    rows = [arm_row(key, position=place) for place, key in enumerate(order)]
    rows = [row | ({"is_control": "on"} if row["key"] == "nudge" else {}) for row in rows]

    assert change(staff, experiment, *rows).status_code == 302
    assert control_of(experiment) == ["nudge"]


def test_arms_of_a_draft_swap_positions_and_keys(staff: Client) -> None:
    experiment = make_experiment()
    before = dict(experiment.arms.values_list("key", "pk"))

    response = change(
        staff,
        experiment,
        arm_row("nudge", position=1, was="control"),
        arm_row("control", position=0, was="nudge", is_control="on"),
    )

    assert response.status_code == 302
    arms = experiment.arms.order_by("position")
    assert list(arms.values_list("pk", "key", "is_control")) == [
        (before["nudge"], "control", True),
        (before["control"], "nudge", False),
    ]


def test_a_control_is_replaced_by_another_arm_or_a_new_one(staff: Client) -> None:
    experiment = make_experiment({"nudge": 0.5, "control": 0.5})
    gone = arm_row("control", position=1, is_control="on", DELETE="on")

    response = change(staff, experiment, arm_row("nudge", is_control="on"), gone)
    assert (response.status_code, control_of(experiment)) == (302, ["nudge"])

    fresh = arm_row("control", position=1, is_control="on", was="")
    assert change(staff, experiment, arm_row("nudge"), fresh).status_code == 302
    assert control_of(experiment) == ["control"]


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (arm_row("control", position=1), {"key": [ARM_KEY_ONCE]}),
        (arm_row("nudge", position=0), {"position": [ARM_POSITION_ONCE]}),
        (arm_row("nudge", 50, position=1), {"weight": [SHARE]}),
        (arm_row("nudge", "1.2", position=1), {"weight": [SHARE]}),
        (arm_row("nudge", "-0.5", position=1), {"weight": [SHARE]}),
    ],
    ids=["key", "position", "percent", "above 1", "below 0"],
)
def test_a_wrong_arm_is_refused_at_its_field(
    staff: Client, row: Row, error: dict[str, list[str]]
) -> None:
    response = add(staff, [CONTROL, row])

    assert response.status_code == 200
    assert arm_errors(response) == [{}, error]
    assert not Experiment.objects.exists()


@pytest.mark.parametrize("coverage", ["50", "100", "1.5", "-1"])
@pytest.mark.sampled(2)
def test_coverage_outside_zero_to_one_is_refused_with_a_sentence(
    staff: Client, coverage: str
) -> None:
    response = add(staff, [CONTROL, NUDGE], coverage=coverage)

    assert experiment_errors(response) == {"coverage": [SHARE]}


def test_an_experiment_without_one_population_is_refused_at_its_field(staff: Client) -> None:
    segment = make_segment()
    both = add(staff, [CONTROL, NUDGE], segment=segment.pk, playbook=segment.playbook_id)
    none = add(staff, [CONTROL, NUDGE], segment="")

    assert experiment_errors(both) == {"playbook": [ONE_POPULATION]}
    assert experiment_errors(none) == {"segment": [POPULATION]}
    wrong = add(staff, [CONTROL, NUDGE], segment="", coverage="50")
    assert experiment_errors(wrong) == {"segment": [POPULATION], "coverage": [SHARE]}


def test_a_running_experiment_can_be_renamed(staff: Client) -> None:
    experiment = running_experiment()
    page = reverse("admin:experiments_experiment_change", args=(experiment.pk,))
    form = experiment_form([], name="Renamed", coverage="0.5")

    assert staff.post(page, form).status_code == 302
    experiment.refresh_from_db()
    assert (experiment.name, float(experiment.coverage)) == ("Renamed", 0.5)
    assert experiment.arms.count() == 2


CONSTRAINTS = [
    constraint
    for model in apps.get_app_config("experiments").get_models()
    for constraint in model._meta.constraints
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda constraint: constraint.name)
def test_every_constraint_has_a_sentence_of_its_own(constraint: BaseConstraint) -> None:
    assert isinstance(constraint, CheckConstraint | UniqueConstraint | ExclusionConstraint)
    sentence = str(constraint.get_violation_error_message())

    assert constraint.name not in sentence
    assert "onstraint" not in sentence
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert sum(str(each.get_violation_error_message()) == sentence for each in CONSTRAINTS) == 1


@pytest.mark.parametrize(
    ("arms", "sentences"),
    [
        ([], ["It has no arm yet"]),
        ([CONTROL | {"weight": "1"}], ["another arm besides the control"]),
        ([arm_row("control"), NUDGE], ["one control arm"]),
        ([CONTROL, NUDGE | {"weight": "0.4"}], ["must add up to 1, not control=0.5, nudge=0.4"]),
        ([arm_row("a", "0.4")], ["one control arm", "besides the control", "must add up to 1"]),
    ],
    ids=["no arms", "one arm", "no control", "sum", "all at once"],
)
def test_a_draft_is_saved_with_what_it_lacks_to_start(
    staff: Client, arms: list[Row], sentences: list[str]
) -> None:
    response = add(staff, arms)

    (text,) = [text for text in messages_of(response) if "cannot start yet" in text]
    assert all(sentence in text for sentence in sentences)
    assert Experiment.objects.get().arms.count() == len(arms)


def test_a_draft_that_can_start_and_a_running_experiment_are_saved_without_a_warning(
    staff: Client,
) -> None:
    response = add(staff, [CONTROL, NUDGE])
    assert not any("cannot start" in text for text in messages_of(response))

    Arm.objects.all().delete()
    running = Experiment.objects.get()
    Experiment.objects.update(status="checked")
    Experiment.objects.update(status="running", protocol="{}", started_at=NOW)
    page = reverse("admin:experiments_experiment_change", args=(running.pk,))
    response = staff.post(page, experiment_form([]))
    assert response.status_code == 302
    assert not any("cannot start" in text for text in messages_of(response))


def test_stop_reports_the_result_for_each_experiment(staff: Client) -> None:
    draft = make_experiment(name="Quiz")
    running, stopped = running_experiment(name="Nudge"), running_experiment(name="Old")
    stop_experiment(stopped.pk, now=NOW)

    assert sorted(act(staff, "stop", draft, running, stopped)) == [
        "Nudge is stopped. Its report still counts the learners drawn.",
        "Old was already stopped. Nothing changed.",
        "Quiz was never started. It stays a draft.",
    ]
    draft.refresh_from_db()
    assert draft.status == "draft"


def live_course(**fields: Any) -> Any:
    return make_course(live_since=NOW, **fields)


@pytest.mark.parametrize("action", ["start", "start_without_present"])
def test_no_experiment_starts_if_all_clocks_are_stopped(staff: Client, action: str) -> None:
    course = live_course(title="Demo", clock_stopped_at=STOPPED_AT)
    experiment = make_experiment(name="Nudge", segment=make_segment(course))

    (text,) = act(staff, action, experiment)

    assert f"Nudge (Demo): {CLOCK_STOPPED}. No more learners are drawn." in text
    assert "It stays a draft" in text
    experiment.refresh_from_db()
    assert experiment.status == "draft"


def test_a_second_start_is_refused_as_running_even_if_the_clock_is_stopped(staff: Client) -> None:
    course = live_course(title="Demo", clock_stopped_at=STOPPED_AT)
    experiment = running_experiment(name="Nudge", segment=make_segment(course))

    assert act(staff, "start", experiment) == [
        "Nudge (Demo): The experiment is not a draft: it is running."
    ]


def test_start_names_no_course_that_the_user_may_not_see(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = {"title": "Hidden", "clock_stopped_at": STOPPED_AT}
    mine, other = live_course(title="Demo", clock_stopped_at=STOPPED_AT), live_course(**hidden)
    refused = make_experiment(name="Nudge", segment=make_segment(mine, other))
    both = make_segment(live_course(title="Open"), other)
    started = make_experiment(key="k", name="Quiz", segment=both, differs_outside=True)
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.exclude(pk=other.pk))

    running, refusal = sorted(act(staff, "start", refused, started), reverse=True)

    assert running == "Quiz (Open) is running."
    assert refusal.startswith(f"Nudge (Demo): {CLOCK_STOPPED}. No more learners are drawn. It")
    assert "Hidden" not in refusal


def test_start_names_the_courses_without_draws(staff: Client) -> None:
    courses = (
        live_course(title="Demo", clock_stopped_at=STOPPED_AT),
        make_course(title="Hidden"),
        live_course(title="Open"),
    )
    experiment = make_experiment(name="Nudge", segment=make_segment(*courses), differs_outside=True)

    assert act(staff, "start", experiment) == [
        "Nudge (3 courses) is running.",
        f"{CLOCK_STOPPED}. No more learners are drawn.",
        "The course Hidden is not live. Its learners are drawn once it is live.",
    ]
    experiment.refresh_from_db()
    assert experiment.status == "running"


def test_an_experiment_without_messages_to_its_arms_does_not_start(staff: Client) -> None:
    experiment = make_experiment(name="Nudge", segment=make_segment(live_course(title="Demo")))

    (sentence,) = act(staff, "start", experiment)

    assert sentence.startswith("Nudge (Demo): No active cadence sends anything to a treatment arm.")
    experiment.refresh_from_db()
    assert (experiment.status, experiment.protocol) == ("draft", "")


def test_a_new_experiment_is_offered_a_seed_of_its_own(staff: Client) -> None:
    offered = [staff.get(ADD).context["adminform"].form["seed"].value() for _ in range(2)]
    assert offered[0] != offered[1]


def test_a_seed_that_another_experiment_has_is_refused_at_its_field(staff: Client) -> None:
    make_experiment(seed="taken")

    response = add(staff, [CONTROL, NUDGE], seed="taken")

    assert "Another experiment has this seed" in response.content.decode()


def test_start_in_a_playbook_without_a_course_warns(staff: Client) -> None:
    (runs, warning) = act(staff, "start", make_experiment(name="Nudge", differs_outside=True))

    assert runs == "Nudge is running."
    assert warning == "The playbook belongs to no course, so no learner can be drawn."


def test_start_with_learners_to_draw_gives_no_warning(staff: Client) -> None:
    experiment = make_experiment(
        name="Nudge", segment=make_segment(live_course(title="Demo")), differs_outside=True
    )

    assert act(staff, "start", experiment) == ["Nudge (Demo) is running."]


def test_list_names_the_courses_of_each_population_with_the_same_queries(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    for title in ("Biology 2025", "Biology 2026", "Chemistry"):
        segment = make_segment(make_course(title=title))
        make_experiment(segment=segment)
    make_experiment(playbook=segment.playbook, name="Whole playbook")

    with django_assert_max_num_queries(16):
        text = staff.get(reverse("admin:experiments_experiment_changelist")).content.decode()
    assert f"{segment.name} (Chemistry)" in text
    assert "Playbook (Chemistry)" in text
    assert "(Biology 2025)" in text
