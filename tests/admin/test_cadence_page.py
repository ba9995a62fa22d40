"""The page of a cadence: few fields at once, the steps first, and a button for each act."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from interventions.models import Cadence, CadenceStatus, Pause
from segmentation.models import SegmentStatus
from tests.admin.test_changes import BUSY, cadence_form, make_template, page
from tests.interventions.factories import make_cadence, make_experiment
from tests.segmentation.factories import make_playbook, make_segment

pytestmark = pytest.mark.django_db
# Before, all 17 fields were open, and the steps came after them.
MOST_OPEN = 4


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def press(client: Client, row: Any, action: str, **more: str) -> Any:
    return client.post(
        f"{page(type(row), row).removesuffix('change/')}press/{action}/", more, follow=True
    )


def offered(client: Client, row: Any) -> list[str]:
    return [button.action for button in client.get(page(type(row), row)).context["buttons"]]


def test_page_opens_with_few_fields_and_the_steps_follow_them(staff: Client) -> None:
    answer = staff.get(page(Cadence, action="add"))
    first, *others = answer.context["adminform"].fieldsets

    assert len(first[1]["fields"]) <= MOST_OPEN
    assert all("collapse" in options["classes"] for _, options in others)
    steps, folded = answer.text.index('id="steps-group"'), answer.text.index('name="why_now"')
    assert answer.text.index('name="category"') < steps < folded


def test_fault_in_a_folded_part_is_in_sight(staff: Client) -> None:
    segment = make_segment(make_playbook(), BUSY)
    form = cadence_form(make_template(), segment=segment.pk, max_age="soon")

    text = staff.post(page(Cadence, action="add"), form).text

    part = text[: text.index('name="max_age"')].rpartition("<fieldset")[2]
    assert "<details>" not in part


def test_key_is_made_from_the_name(staff: Client) -> None:
    segment, template = make_segment(make_playbook(), BUSY), make_template()
    for _ in range(2):
        form = cadence_form(template, segment=segment.pk, key="", name="Try the quiz!")
        assert staff.post(page(Cadence, action="add"), form).status_code == 302

    assert set(Cadence.objects.values_list("key", flat=True)) == {"try-the-quiz", "try-the-quiz-2"}


def test_key_stays_when_the_name_changes(staff: Client) -> None:
    cadence = make_cadence(segment=make_segment(make_playbook(), BUSY))
    (step,) = cadence.steps.all()
    kept = cadence.key
    form = cadence_form(step.template, segment=cadence.segment_id, key="", name="Other")
    form |= {"steps-INITIAL_FORMS": 1, "steps-0-id": step.pk, "steps-0-cadence": cadence.pk}

    assert staff.post(page(Cadence, cadence), form).status_code == 302
    cadence.refresh_from_db()
    assert (cadence.key, cadence.name) == (kept, "Other")


def test_cadence_is_activated_paused_resumed_and_archived_on_its_page(staff: Client) -> None:
    cadence = make_cadence(segment=make_segment(make_playbook(), BUSY))
    Cadence.objects.update(status=CadenceStatus.DRAFT)
    assert offered(staff, cadence) == ["activate", "archive"]

    press(staff, cadence, "activate")
    assert offered(staff, cadence) == ["pause", "archive"]
    assert "You say why" in staff.get(page(Cadence, cadence)).text
    asked = press(staff, cadence, "pause")
    assert "Reason" in asked.text
    press(staff, cadence, "pause", reason="A wrong text")
    assert Pause.objects.get().reason == "A wrong text"
    assert offered(staff, cadence) == ["resume", "archive"]
    press(staff, cadence, "resume")
    done = press(staff, cadence, "archive")

    assert "is archived" in done.text
    assert offered(staff, cadence) == ["activate"]


def test_button_that_the_page_no_longer_offers_does_nothing(staff: Client) -> None:
    cadence = make_cadence(segment=make_segment(make_playbook(), BUSY))
    press(staff, cadence, "archive")

    again = press(staff, cadence, "pause", reason="late")

    assert "Nothing was done" in again.text
    assert not Pause.objects.exists()
    assert (
        staff.get(f"{page(Cadence, cadence).removesuffix('change/')}press/archive/").status_code
        == 302
    )


def test_cadence_that_must_not_start_stays_a_draft_and_says_why(staff: Client) -> None:
    segment = make_segment(make_playbook(), BUSY)
    cadence = make_cadence(segment=segment)
    Cadence.objects.update(status=CadenceStatus.DRAFT)
    type(segment).objects.update(status=SegmentStatus.ARCHIVED)

    answer = press(staff, cadence, "activate")

    assert "is archived" in answer.text
    cadence.refresh_from_db()
    assert cadence.status == CadenceStatus.DRAFT


def test_buttons_need_the_right_of_their_action(client: Client) -> None:
    user = get_user_model().objects.create_user("bo", is_staff=True)
    client.force_login(user)
    cadence = make_cadence(segment=make_segment(make_playbook(), BUSY))
    user.user_permissions.add(Permission.objects.get(codename="view_cadence"))
    assert offered(client, cadence) == []
    assert "Nothing was done" in press(client, cadence, "archive").text

    user.user_permissions.add(Permission.objects.get(codename="change_cadence"))
    assert offered(client, cadence) == ["pause", "archive"]
    cadence.refresh_from_db()
    assert cadence.status == CadenceStatus.ACTIVE
    Cadence.objects.update(paused=True)
    # To resume lets messages out.
    assert offered(client, cadence) == ["archive"]


def test_segment_and_experiment_have_their_acts_on_their_pages(staff: Client) -> None:
    segment = make_segment(make_playbook(), BUSY)
    experiment = make_experiment(segment, start=False)

    assert offered(staff, segment) == ["archive"]
    press(staff, segment, "archive")
    assert offered(staff, segment) == ["activate", "activate_with_present"]
    assert "Up to 0 learners" in press(staff, segment, "activate_with_present").text
    press(staff, segment, "activate_with_present", confirmed="yes")
    segment.refresh_from_db()
    assert (segment.status, segment.include_present) == (SegmentStatus.ACTIVE, True)
    assert offered(staff, experiment) == ["start", "start_without_present"]
