"""Names carry their courses in choices, lists and headings, in a fixed number of queries."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from activity.access import COMMAND_LINE, named
from activity.models import Course, DailyActivity, Due, Enrollment, Progress
from activity.texts import with_courses
from experiments.models import Arm, Assignment, DeliveryOutcome, Experiment
from interventions.models import Cadence, Delivery, Run
from segmentation.models import Playbook, Segment
from tests.admin.populated import populate
from tests.factories import NOW, make_course
from tests.interventions.factories import make_cadence, make_experiment
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def make_named(title: str) -> Segment:
    """Return a segment of a course, with a cadence and an experiment. All have usual names."""
    course = make_course(title=title)
    playbook = make_playbook(course, name="Five segments", key=f"playbook-{course.pk}")
    segment = make_segment(playbook, ACTED_TODAY, name="Video-only")
    make_cadence(segment=segment, name="Try the quiz")
    make_experiment(segment, name="Nudge", start=False)
    return segment


@pytest.mark.parametrize(
    ("titles", "name"),
    [
        ([], "Video-only (Five segments)"),
        (["Biology 2025"], "Video-only (Biology 2025)"),
        (["A", "B"], "Video-only (A and B)"),
        (["A", "B", "C"], "Video-only (Five segments)"),
        (["Video-only"], "Video-only"),
    ],
    ids=["none", "one", "two", "three", "already in it"],
)
def test_name_of_a_playbook_stands_for_no_course_and_for_many(titles: list[str], name: str) -> None:
    assert with_courses("Video-only", titles, otherwise="Five segments") == name


def test_each_kind_of_row_carries_the_courses_loaded_with_it() -> None:
    make_named("Biology 2025")

    def name_of(rows: Any) -> str:
        return str(named(rows, COMMAND_LINE).get())

    assert name_of(Playbook.objects.all()) == "Five segments (Biology 2025)"
    assert name_of(Segment.objects.all()) == "Video-only (Biology 2025)"
    assert name_of(Cadence.objects.all()) == "Try the quiz (Biology 2025)"
    assert name_of(Experiment.objects.all()) == "Nudge (Biology 2025)"
    control = Arm.objects.filter(is_control=True)
    assert name_of(control) == f"{control.get().own_name} of Nudge (Biology 2025)"


@pytest.mark.parametrize(
    "model", [Run, Delivery, Assignment, DeliveryOutcome, DailyActivity, Progress, Due]
)
@pytest.mark.sampled(2)
def test_row_of_an_enrollment_names_the_learner(model: Any) -> None:
    populate("Ant")

    assert "Ant Learner" in str(model.objects.first())


def test_end_of_a_run_is_told_in_words(staff: Client) -> None:
    populate("Ant")
    Run.objects.update(status="exited", ended_at=NOW, exit_reason="left_segment")

    page = staff.get(reverse("admin:interventions_run_changelist")).text

    assert "exited, because the learner had left the segment" in page


@pytest.mark.parametrize("field", ["withdrew_at", "completed_at"])
def test_end_of_an_enrollment_is_told_by_the_day_of_its_course(staff: Client, field: str) -> None:
    populate("Ant")
    Course.objects.update(time_zone="Asia/Tokyo")
    page, verb = reverse("admin:activity_enrollment_changelist"), field.removesuffix("_at")

    Enrollment.objects.update(**{field: datetime(2025, 9, 30, 20, tzinfo=UTC)})
    assert f"{verb} on Wednesday 1 October 2025" in staff.get(page).text

    Enrollment.objects.update(**{field: datetime(2099, 9, 30, 20, tzinfo=UTC)})
    assert "on Thursday 1 October 2099" in staff.get(page).text
    assert f"{verb} on" not in staff.get(page).text


def test_segment_of_a_course_with_two_playbooks_names_its_own() -> None:
    (course,) = make_named("Biology 2025").playbook.courses.all()
    make_segment(make_playbook(course, name="Mine", key="mine"), ACTED_TODAY, name="Video-only")

    names = {str(each) for each in named(Segment.objects.all(), COMMAND_LINE)}
    assert names == {"Video-only (Biology 2025, Five segments)", "Video-only (Biology 2025, Mine)"}
    assert str(named(Cadence.objects.all(), COMMAND_LINE).get()) == "Try the quiz (Biology 2025)"


def test_name_takes_no_query_for_courses_that_were_not_loaded(
    django_assert_num_queries: Any,
) -> None:
    make_named("Biology 2025")
    cadence = Cadence.objects.get()
    segment = Segment.objects.select_related("playbook").get()

    with django_assert_num_queries(0):
        assert str(cadence) == "Try the quiz"
        assert str(segment) == "Video-only (Five segments)"


@pytest.mark.parametrize(
    ("model", "field", "choices"),
    [
        ("cadence", "segment", ["Video-only (Biology 2025)", "Video-only (Botany 2026)"]),
        ("cadence", "arm", ["of Nudge (Biology 2025)", "of Nudge (Botany 2026)"]),
        ("override", "segment", ["Video-only (Biology 2025)"]),
        ("experiment", "playbook", ["Five segments (Biology 2025)"]),
    ],
)
def test_choices_found_by_typing_carry_their_courses(
    staff: Client, model: str, field: str, choices: list[str]
) -> None:
    make_named("Biology 2025")
    make_named("Botany 2026")
    app = {"cadence": "interventions", "override": "segmentation"}.get(model, "experiments")
    asked = {"app_label": app, "model_name": model, "field_name": field, "term": ""}
    found = staff.get(reverse("admin:autocomplete"), asked).json()["results"]

    shown = [each["text"] for each in found]
    assert all(any(text.endswith(choice) for text in shown) for choice in choices), shown


def test_chosen_segment_carries_its_course_on_the_page_of_a_cadence(staff: Client) -> None:
    make_named("Biology 2025")
    page = reverse("admin:interventions_cadence_change", args=(Cadence.objects.get().pk,))

    text = staff.get(page).text

    assert "Video-only (Biology 2025)" in text
    assert "Try the quiz (Biology 2025)" in text


@pytest.mark.parametrize(
    "table",
    ["segmentation_segment", "segmentation_playbook", "interventions_cadence",
     "interventions_step", "experiments_experiment", "experiments_arm"],
)  # fmt: skip
@pytest.mark.sampled(2)
def test_longer_list_takes_no_more_queries_for_its_names(staff: Client, table: str) -> None:
    address = reverse(f"admin:{table}_changelist")
    make_named("Biology 0")
    staff.get(address)
    few = queries_of(staff, address)
    for number in range(1, 4):
        make_named(f"Biology {number}")

    many = queries_of(staff, address)

    assert f"Biology {number}" in staff.get(address).text
    # The size of a segment is counted per row.
    assert many <= few + (2 * 3 if table == "segmentation_segment" else 0)


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as found:
        client.get(address)
    return len(found)
