"""The button that tries an unsaved rule on the last 30 days, and its answer."""

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from activity import access
from activity.models import Course
from segmentation.models import Segment
from tests.interventions.factories import make_cadence
from tests.interventions.test_what_if_rule import (
    DAY,
    LONGER,
    NOW,
    make_days,
    make_message,
    make_quiet,
)
from tests.segmentation.factories import make_playbook, make_segment, where

pytestmark = pytest.mark.django_db


@pytest.fixture
def course() -> Course:
    return make_days()


@pytest.fixture
def segment(course: Course) -> Segment:
    return make_segment(make_playbook(course), where("days_since_activity", ">=", 7))


ADDRESS = reverse("interventions:try_rule")


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def post(client: Client, rule: Any = LONGER, *, part: bool = True, **typed: Any) -> Any:
    text = rule if isinstance(rule, str) else json.dumps(rule)
    headers = {"HX-Request": "true"} if part else {}
    return client.post(ADDRESS, {"rule": text, **typed}, headers=headers)


def test_button_shows_the_numbers_and_saves_nothing(
    staff: Client, course: Course, segment: Segment
) -> None:
    page = staff.get(reverse("segmentation:rule", args=(segment.pk,))).text
    assert f'formaction="{ADDRESS}"' in page
    Course.objects.update(clock_stopped_at=NOW)
    make_message(make_quiet(course, 20, 12), make_cadence(segment=segment), NOW - 13 * DAY)

    shown = post(staff, segment=segment.pk).text

    cells = [cell.split("<")[0].rpartition(">")[2] for cell in shown.split("<td")[1:]]
    assert cells == ["1", "1", "1", "1", "1", "0", "0", "0"]
    assert "<!doctype html>" not in shown
    assert "<!doctype html>" in post(staff, segment=segment.pk, part=False).text
    segment.refresh_from_db()
    assert (segment.version, segment.rule) == (1, where("days_since_activity", ">=", 7))


def test_new_segment_is_tried_before_it_is_saved(staff: Client, course: Course) -> None:
    Course.objects.update(clock_stopped_at=NOW)
    make_quiet(course, 20)
    playbook = make_playbook(course)

    shown = post(staff, playbook=playbook.pk, segment="").text

    assert "The segment is not active, so nobody enters it as it is." in shown
    assert 'data-unit="enter as it is">0</td>' in shown
    assert 'data-unit="with the change">1</td>' in shown
    assert not Segment.objects.exists()
    assert post(staff, playbook=playbook.pk + 1).status_code == 404


def test_broken_rule_gets_a_sentence_at_its_place(staff: Client, segment: Segment) -> None:
    shown = post(staff, where("logins", ">=", "x", window=7), segment=segment.pk).text
    assert "Correct this first:" in shown
    assert "<li>The rule: rules[0]" in shown

    assert "The rule: " in post(staff, "{", segment=segment.pk).text
    members = post(staff, LONGER, leave_rule="[]", segment=segment.pk).text
    assert "<li>The rule by which members leave: " in members


def test_playbook_without_courses_has_nothing_to_try_it_on(staff: Client) -> None:
    segment = make_segment(make_playbook(), LONGER)

    assert "kept for none of your courses" in post(staff, segment=segment.pk).text


def test_only_those_who_may_change_the_segment_can_try_it(client: Client, segment: Segment) -> None:
    user = get_user_model().objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    client.force_login(user)

    assert post(client, segment=segment.pk).status_code == 403
    page = client.get(reverse("segmentation:rule", args=(segment.pk,))).text
    assert ADDRESS not in page
    assert client.get(ADDRESS).status_code == 405


def test_courses_and_segments_of_others_are_not_shown(
    staff: Client, course: Course, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    Course.objects.update(clock_stopped_at=NOW, title="Botany")
    mine = make_days(title="Zoology", clock_stopped_at=NOW)
    segment.playbook.courses.add(mine)
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.filter(pk=mine.pk))

    shown = post(staff, segment=segment.pk).text
    assert ("Zoology" in shown, "Botany" in shown) == (True, False)

    foreign = make_segment(make_playbook(course), LONGER)
    assert post(staff, segment=foreign.pk).status_code == 404
