"""The page of an experiment: its design, and what can no longer be changed after the start."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from activity.models import Section
from common.clock import utc_now
from experiments.admin import ExperimentAdmin
from experiments.models import ExclusionLayer, Experiment
from experiments.operations import draw_arms, stop_experiment
from experiments.protocol import read_protocol
from experiments.queries import balance_of, deviations_of
from tests.experiments.factories import make_experiment, make_segment, running_experiment
from tests.experiments.test_admin import CONTROL, NUDGE, experiment_errors, experiment_form
from tests.experiments.test_section_draws import make_section
from tests.factories import NOW, make_course, make_enrollment, make_learner

pytestmark = pytest.mark.django_db

ADD = reverse("admin:experiments_experiment_add")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def add(staff: Client, fields: Mapping[str, Any]) -> Any:
    form = experiment_form([CONTROL, NUDGE], segment=make_segment().pk, **fields)
    return staff.post(ADD, form)


def page_of(experiment: Experiment) -> str:
    return reverse("admin:experiments_experiment_change", args=(experiment.pk,))


def test_a_design_is_saved_from_the_page(staff: Client) -> None:
    layer = ExclusionLayer.objects.create(key="mails", name="Mails")
    response = add(
        staff,
        {
            "method": "blocks",
            "strata": "course\ntrait region",
            "layer": layer.pk,
            "layer_start": "0",
            "layer_end": "0.5",
            "excludes_reached": "on",
            "most_learners": "200",
            "afterwards": "one_arm",
            "afterwards_arm": "nudge",
        },
    )
    assert response.status_code == 302

    row = Experiment.objects.get()
    assert (row.unit, row.method, row.strata) == ("enrollment", "blocks", "course\ntrait region")
    assert (row.layer, float(row.layer_end or 0), row.excludes_reached) == (layer, 0.5, True)
    assert (row.most_learners, row.afterwards_arm) == (200, "nudge")


def test_whole_sections_are_one_choice(staff: Client) -> None:
    assert add(staff, {"method": "cluster", "most_sections": "8"}).status_code == 302
    row = Experiment.objects.get()
    assert (row.unit, row.method, row.most_sections) == ("section", "cluster", 8)


def test_only_an_adaptive_draw_needs_its_numbers_and_has_usual_ones(staff: Client) -> None:
    empty = {"burn_in": "", "share_batch": "", "share_floor": ""}
    for key, fields in (
        ("adaptive", {"method": "adaptive", **empty}),
        ("typed", {"method": "adaptive", **empty, "share_batch": "30"}),
        ("hash", {"method": "hash", **empty}),
        # Hidden by the page, so nobody could mend them.
        ("hidden", {"method": "hash", "burn_in": "x", "share_batch": "1", "share_floor": "7"}),
    ):
        response = add(staff, {**fields, "key": key, "seed": key})
        assert response.status_code == 302, experiment_errors(response)
    names = ("key", "burn_in", "share_batch", "share_floor")
    assert set(Experiment.objects.values_list(*names)) == {
        ("adaptive", 60, 40, Decimal("0.1")),
        ("typed", 60, 30, Decimal("0.1")),
        ("hash", 60, 40, Decimal("0.1")),
        ("hidden", 60, 40, Decimal("0.1")),
    }
    errors = experiment_errors(add(staff, {"method": "adaptive", "burn_in": "x"}))
    assert list(errors) == ["burn_in"]


def test_page_of_a_started_experiment_shows_them_only_if_it_adapts(staff: Client) -> None:
    for method, is_shown in (("hash", False), ("adaptive", True)):
        page = staff.get(page_of(running_experiment(method=method))).content.decode()
        assert ("Learners between two changes" in page) is is_shown


@pytest.mark.parametrize(
    ("fields", "at", "sentence"),
    [
        ({"method": "hash", "strata": "course"}, "strata", "Choose balanced blocks"),
        ({"method": "blocks", "strata": "shoe"}, "strata", "“shoe” cannot be read"),
        ({"most_sections": "3"}, "most_sections", "Choose whole sections"),
        ({"most_learners": "0"}, "most_learners", "Write at least 1"),
        ({"layer_start": "0"}, "layer", "Choose a layer"),
        ({"afterwards": "one_arm"}, "afterwards_arm", "Name the arm"),
        ({"afterwards_arm": "nudge"}, "afterwards_arm", "Name the arm"),
        ({"layer": "one"}, "layer_start", "such as 0 and 0.5"),
        ({"layer": "one", "layer_start": "0.5", "layer_end": "0.5"}, "layer_start", "0 and 0.5"),
        ({"layer": "one", "layer_start": "0", "layer_end": "50"}, "layer_end", "share from 0 to 1"),
        ({"layer": "one", "layer_start": "0.2", "layer_end": "0.4"}, "__all__", "still free"),
    ],
    ids=str,
)
def test_a_design_that_cannot_be_is_refused_at_its_field(
    staff: Client, fields: dict[str, str], at: str, sentence: str
) -> None:
    layer = ExclusionLayer.objects.create(key="mails", name="Mails")
    make_experiment(layer=layer, layer_start="0", layer_end="0.3", key="other")
    values = {**fields, **({"layer": layer.pk} if "layer" in fields else {})}
    errors = experiment_errors(add(staff, values))

    assert list(errors) == [at]
    assert sentence in str(errors[at])


def test_a_draft_says_what_its_design_lacks(staff: Client) -> None:
    response = add(staff, {"afterwards": "one_arm", "afterwards_arm": "third"})
    (warning,) = [str(each) for each in get_messages(response.wsgi_request) if each.level == 30]
    assert "cannot start yet" in warning
    assert "is one of: control, nudge" in warning


def test_the_design_is_fixed_after_the_start(staff: Client) -> None:
    experiment = running_experiment(method="blocks", most_learners=9)
    before = Experiment.objects.filter(pk=experiment.pk).values().get()
    form = experiment_form(
        [], name=experiment.name, coverage="1", method="hash", strata="course",
        most_learners="", afterwards="winner", excludes_reached="on", block_sizes="double",
    )  # fmt: skip

    assert staff.post(page_of(experiment), form).status_code == 302
    assert Experiment.objects.filter(pk=experiment.pk).values().get() == before
    assert "in balanced blocks" in staff.get(page_of(experiment)).content.decode()


def test_a_changed_coverage_is_a_dated_deviation(staff: Client) -> None:
    experiment = running_experiment(coverage="0.2")
    form = experiment_form([], name=experiment.name, coverage="0.5")
    for _ in range(2):
        assert staff.post(page_of(experiment), form).status_code == 302

    ((_, what),) = deviations_of(experiment, as_of=utc_now())
    assert what == "The coverage is 0.5 and was 0.2."
    # The protocol still says what was promised.
    promise = read_protocol(experiment.protocol).promise
    assert promise is not None
    assert promise.coverage == 0.2


def test_an_edit_of_a_checked_draft_takes_the_check_back(staff: Client) -> None:
    experiment = make_experiment()
    Experiment.objects.update(status="checked", checked_at=NOW)
    arms = {str(arm.key): arm.pk for arm in experiment.arms.all()}
    rows = [
        {"id": arms[row["key"]], "experiment": experiment.pk, **row} for row in (CONTROL, NUDGE)
    ]
    form = experiment_form(
        rows, initial=2, key=experiment.key, segment=experiment.segment_id, name="Another"
    )
    assert staff.post(page_of(experiment), form).status_code == 302

    experiment.refresh_from_db()
    assert (experiment.status, experiment.checked_at) == ("draft", None)


def test_the_actions_archive_only_what_is_stopped(staff: Client) -> None:
    running, stopped = running_experiment(name="Running"), running_experiment(name="Stopped")
    stop_experiment(stopped.pk, now=NOW)
    chosen = {"action": "archive", "_selected_action": [running.pk, stopped.pk]}
    response = staff.post(reverse("admin:experiments_experiment_changelist"), chosen)

    assert sorted(map(str, get_messages(response.wsgi_request))) == [
        "Running: The experiment is running. Stop it first.",
        "Stopped is archived. Its report stays.",
    ]
    stopped.refresh_from_db()
    assert stopped.status == "archived"


def test_learners_without_a_section_are_counted_at_the_start(staff: Client, monkeypatch) -> None:
    course = make_course()
    segment = make_segment(course)
    make_section(course, "class", size=1)
    segment.memberships.create(enrollment=make_enrollment(course), entered_at=NOW, version=1)
    experiment = make_experiment(segment=segment, unit="section", method="cluster")
    monkeypatch.setattr(ExperimentAdmin, "starter", lambda *args, **kwargs: None)
    chosen = {"action": "start", "_selected_action": [experiment.pk]}
    response = staff.post(reverse("admin:experiments_experiment_changelist"), chosen)

    texts = [str(each) for each in get_messages(response.wsgi_request)]
    assert "Learners who have no section, and so are not drawn: 1." in texts


def test_the_balance_of_a_draw_is_read_in_one_query(django_assert_num_queries) -> None:
    course = make_course()
    experiment = running_experiment(
        segment=make_segment(course), method="blocks", strata="trait group", block_sizes="smallest"
    )
    ids = [
        make_enrollment(course, make_learner(traits={"group": place % 2})).pk for place in range(40)
    ]
    draw_arms(experiment.pk, ids, now=NOW)

    with django_assert_num_queries(1):
        found = balance_of(experiment)
    assert found.sizes == (20, 20)
    assert [(each.stratum, each.counts) for each in found.strata] == [
        ("[0]", (10, 10)), ("[1]", (10, 10))
    ]  # fmt: skip
    assert (found.statistic, found.p_value, found.reason) == (0, 1, "")


def test_the_balance_of_sections_counts_sections() -> None:
    course = make_course()
    sections = [make_section(course, f"class-{number}", size=2) for number in range(4)]
    experiment = running_experiment(segment=make_segment(course), unit="section", method="cluster")
    members = [each.pk for section in sections for each in section.enrollments.all()]
    draw_arms(experiment.pk, members, now=NOW)

    assert balance_of(experiment).sizes == (2, 2)
    assert Section.objects.count() == 4


def test_the_winner_is_named_in_the_list_of_arms(staff: Client) -> None:
    promised = running_experiment(name="Promised", afterwards="winner")
    other = running_experiment(name="Other")
    chosen = {"action": "stop", "_selected_action": [promised.pk, other.pk]}
    response = staff.post(reverse("admin:experiments_experiment_changelist"), chosen)
    texts = [str(each) for each in get_messages(response.wsgi_request)]
    assert sum("as soon as it is named" in text for text in texts) == 1

    arms = [each.arms.get(key="nudge").pk for each in (promised, other)]
    chosen = {"action": "give_to_control", "_selected_action": arms}
    response = staff.post(reverse("admin:experiments_arm_changelist"), chosen)
    # Those of the stop are kept for the next page too.
    assert sorted([str(each) for each in get_messages(response.wsgi_request)][-2:]) == [
        "The control of Promised gets nudge from now on.",
        "nudge of Other: The protocol does not promise the winner to the control.",
    ]
    promised.refresh_from_db()
    assert promised.winner == "nudge"
