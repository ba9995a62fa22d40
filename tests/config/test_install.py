"""The page that installs a shipped playbook: what it says, what it makes, and for whom."""

from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client

from interventions.models import FrequencyCap, QuietHours
from interventions.operations import installation
from segmentation.models import Playbook, Segment, SegmentStatus
from segmentation.operations import install_playbook
from tests.factories import NOW, make_course
from tests.interventions.factories import make_cadence

pytestmark = pytest.mark.django_db
FIVE, LITERAL = "five-segments", "five-segments-literal"


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def address(course: Any, name: str = FIVE) -> str:
    return f"/courses/{course.pk}/install/{name}/"


def test_course_page_leads_to_the_installation(staff: Client) -> None:
    course = make_course(title="Biology 2025")

    home = staff.get(f"/courses/{course.pk}/").text

    assert "Install the five segments" in home
    assert address(course) in home
    assert "manage.py install_playbook" not in home.partition('id="readiness"')[0]


@pytest.mark.parametrize("name", [FIVE, LITERAL])
def test_page_says_what_would_be_made_and_makes_nothing(staff: Client, name: str) -> None:
    text = staff.get(address(make_course(title="Biology 2025"), name)).text

    for words in ("Video-only", "Nobody is messaged because of it", "for Biology 2025"):
        assert words in text
    assert not Playbook.objects.exists()


def test_segments_are_installed_once_with_the_missing_guards(staff: Client) -> None:
    QuietHours.objects.all().delete()
    FrequencyCap.objects.all().delete()
    course = make_course(title="Biology 2025")
    for _ in range(2):
        answer = staff.post(address(course), {"shared": "yes"}, follow=True)
        assert "is installed" in answer.text

    assert Segment.objects.filter(status=SegmentStatus.ACTIVE).count() == 5
    assert list(Playbook.objects.get().courses.all()) == [course]
    assert QuietHours.objects.exists()
    assert FrequencyCap.objects.count() == 2
    assert "are kept for Biology 2025 already" in staff.get(address(course)).text


def test_second_course_gets_segments_of_its_own_or_shares_them(staff: Client) -> None:
    first, alone, shared = (make_course(title=title) for title in ("Biology", "Botany", "Zoology"))
    playbook = install_playbook(FIVE, now=NOW, course_keys=[first.key])
    make_cadence(segment=playbook.segments.get(key="video-only"), name="Try the quiz")
    text = staff.get(address(alone)).text
    assert "was installed before, for Biology" in text
    assert "then also get “Try the quiz”" in text

    staff.post(address(alone))
    staff.post(address(shared), {"shared": "yes"})

    assert set(playbook.courses.all()) == {first, shared}
    own = Playbook.objects.exclude(pk=playbook.pk).get()
    assert list(own.courses.all()) == [alone]
    assert own.segments.count() == 5


def test_installation_needs_the_rights_and_a_known_name(client: Client) -> None:
    user = get_user_model().objects.create_user("bo", is_staff=True)
    client.force_login(user)
    course = make_course()
    rights = Permission.objects.filter(codename__regex="^(add|change)_(segment|playbook)$")
    user.user_permissions.set([*rights[:3], Permission.objects.get(codename="view_course")])
    assert client.post(address(course)).status_code == 403
    assert "Install the five segments" not in client.get(f"/courses/{course.pk}/").text

    user.user_permissions.add(*rights)
    assert client.get(address(course)).status_code == 200
    assert client.get(address(course, "../etc")).status_code == 404
    assert client.get(address(course, "unknown")).status_code == 404
    assert not Playbook.objects.exists()


def test_playbook_is_not_installed_without_its_guards(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a course could be live without quiet hours, and the page would call it installed.
    monkeypatch.setattr(installation, "make_missing_guards", Mock(side_effect=OperationalError))

    with pytest.raises(OperationalError):
        staff.post(address(make_course()))

    assert not Playbook.objects.exists()
