"""Permissions: sending has its own, and users cannot give permissions that they do not have."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from activity.models import Course
from config.staff.groups import READY_GROUPS
from interventions.models import Cadence
from tests.factories import make_course
from tests.interventions.factories import make_cadence, make_experiment
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db


def make_user(name: str, *rights: str, **fields: Any) -> User:
    user = get_user_model().objects.create_user(name, **{"is_staff": True, **fields})
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def log_in(client: Client, *rights: str) -> User:
    user = make_user("bo", *rights)
    client.force_login(user)
    return user


def page(row: Model, action: str = "change") -> str:
    meta = row._meta
    args = (row.pk,) if action in ("change", "delete") else ()
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{action}", args=args)


def act_on(client: Client, row: Model, action: str) -> Any:
    form = {"action": action, "_selected_action": [row.pk]}
    return client.post(page(row, "changelist"), form, follow=True)


def course_form(course: Course) -> dict[str, Any]:
    return {
        "key": course.key,
        "title": "Another title",
        "time_zone": course.time_zone,
        "locale": "en",
        "starts_on": "2025-09-01",
        "ends_on": "2025-10-20",
        "pass_mark": "0.5",
        "late_after_hours": "48",
        "grace_days": "2",
        "live_since_0": "2025-09-30",
        "live_since_1": "08:00",
    }


def test_going_live_needs_the_right_to_send(client: Client) -> None:
    user = log_in(client, "view_course", "change_course")
    course = make_course()

    assert client.post(page(course), course_form(course)).status_code == 302
    course.refresh_from_db()
    assert (course.title, course.live_since) == ("Another title", None)

    user.user_permissions.add(Permission.objects.get(codename="send_messages"))
    client.post(page(course), course_form(course))
    course.refresh_from_db()
    assert course.live_since is not None


def test_messages_for_late_events_need_the_right_to_send(client: Client) -> None:
    user = log_in(client, "view_course", "change_course")
    course = make_course()
    form = course_form(course) | {"late_events_start": "on", "late_after_hours": "9000"}

    assert client.post(page(course), form).status_code == 302
    course.refresh_from_db()
    assert (course.late_events_start, course.late_after_hours) == (False, 48)

    user.user_permissions.add(Permission.objects.get(codename="send_messages"))
    client.post(page(course), form)
    course.refresh_from_db()
    assert (course.late_events_start, course.late_after_hours) == (True, 9000)


def cadence_form(cadence: Cadence, status: str) -> dict[str, Any]:
    step = cadence.steps.get()
    return {
        "key": cadence.key,
        "name": "Another name",
        "status": status,
        "trigger": "enter",
        "segment": cadence.segment_id,
        "category": cadence.category_id,
        "priority": 100,
        "reentry": "never",
        "exit_on_leave": "on",
        "max_age": "7 days",
        "steps-TOTAL_FORMS": 1,
        "steps-INITIAL_FORMS": 1,
        "steps-0-id": step.pk,
        "steps-0-cadence": cadence.pk,
        "steps-0-delay": "0",
        "steps-0-template": step.template_id,
        "steps-0-order": 0,
    }


CADENCE_RIGHTS = (
    "view_cadence", "change_cadence", "view_step", "change_step", "view_segment",
    "view_category", "view_messagetemplate",
)  # fmt: skip


@pytest.mark.parametrize("before", ["draft", "active"])
def test_an_active_cadence_needs_the_right_to_send(client: Client, before: str) -> None:
    user = log_in(client, *CADENCE_RIGHTS)
    cadence = make_cadence(status=before)

    refused = client.post(page(cadence), cadence_form(cadence, "active"))
    assert refused.status_code == 200
    assert "your account has no permission" in refused.content.decode()
    cadence.refresh_from_db()
    assert (cadence.status, cadence.name == "Another name") == (before, False)

    # Every user who may change it may stop it.
    assert client.post(page(cadence), cadence_form(cadence, "archived")).status_code == 302

    user.user_permissions.add(Permission.objects.get(codename="send_messages"))
    assert client.post(page(cadence), cadence_form(cadence, "active")).status_code == 302
    cadence.refresh_from_db()
    assert (cadence.status, cadence.name) == ("active", "Another name")


@pytest.mark.parametrize("action", ["start", "start_without_present"])
def test_starting_an_experiment_needs_the_right_to_send(client: Client, action: str) -> None:
    user = log_in(client, "view_experiment", "change_experiment")
    segment = make_segment(make_playbook(make_course()), ACTED_TODAY)
    experiment = make_experiment(segment, start=False)

    act_on(client, experiment, action)
    experiment.refresh_from_db()
    assert experiment.status == "draft"

    user.user_permissions.add(Permission.objects.get(codename="send_messages"))
    assert any(choice[0] == action for choice in action_choices(client, experiment))


def action_choices(client: Client, row: Model) -> list[tuple[str, str]]:
    response = client.get(page(row, "changelist"))
    return list(response.context["action_form"].fields["action"].choices)


def test_messaging_those_already_in_needs_the_right_to_send(client: Client) -> None:
    log_in(client, "view_segment", "change_segment")
    segment = make_segment(make_playbook(), ACTED_TODAY, active=False)

    act_on(client, segment, "activate_with_present")
    segment.refresh_from_db()
    assert segment.status == "draft"

    form = {
        "name": "Another name", "key": segment.key, "description": "", "priority": 100,
        "rule": '{"combinator": "and", "rules": [{"field": "days_since_activity", '
        '"operator": ">=", "value": 3}]}',
        "leave_rule": "null", "include_present": "on",
    }  # fmt: skip
    act_on(client, segment, "activate")
    assert client.post(page(segment), form).status_code == 302
    segment.refresh_from_db()
    assert (segment.name, segment.status, segment.include_present) == (
        "Another name",
        "active",
        False,
    )


def user_form(user: User, **changed: Any) -> dict[str, Any]:
    form = {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": "2025-09-01",
        "date_joined_1": "08:00:00",
    }
    return {**form, **changed}


CHANGES_USERS = ("view_user", "change_user")


def test_the_permission_to_change_users_makes_no_superuser(client: Client) -> None:
    me = log_in(client, *CHANGES_USERS)

    assert client.post(page(me), user_form(me, is_superuser="on")).status_code == 302
    me.refresh_from_db()
    assert not me.is_superuser


def test_users_cannot_give_a_permission_that_they_do_not_have(client: Client) -> None:
    me = log_in(client, *CHANGES_USERS)
    other = make_user("cy")
    own, beyond = (Permission.objects.get(codename=each) for each in ("view_user", "send_messages"))

    refused = client.post(page(other), user_form(other, user_permissions=[own.pk, beyond.pk]))
    assert refused.status_code == 200
    assert not other.user_permissions.exists()

    client.post(page(other), user_form(other, user_permissions=[own.pk]))
    assert list(other.user_permissions.all()) == [own]
    assert me.user_permissions.count() == len(CHANGES_USERS)


def test_users_cannot_add_members_to_a_group_with_more_permissions(client: Client) -> None:
    me = log_in(client, *CHANGES_USERS)
    strong, weak = (Group.objects.create(name=name) for name in ("strong", "weak"))
    strong.permissions.set(Permission.objects.filter(codename="send_messages"))
    weak.permissions.set(Permission.objects.filter(codename="view_user"))

    assert client.post(page(me), user_form(me, groups=[strong.pk])).status_code == 200
    own = [each.pk for each in me.user_permissions.all()]
    client.post(page(me), user_form(me, groups=[weak.pk], user_permissions=own))
    assert list(me.groups.all()) == [weak]


@pytest.mark.parametrize("is_active", [True, False])
@pytest.mark.parametrize("stronger", ["superuser", "permission", "group"])
def test_a_user_with_more_permissions_cannot_be_taken_over(
    client: Client, stronger: str, is_active: bool
) -> None:
    log_in(client, *CHANGES_USERS, "delete_user")
    ana = make_user("ana", is_superuser=stronger == "superuser", is_active=is_active)
    send = Permission.objects.get(codename="send_messages")
    if stronger == "permission":
        ana.user_permissions.add(send)
    if stronger == "group":
        group = Group.objects.create(name="senders")
        group.permissions.add(send)
        ana.groups.add(group)
    password = {"password1": "a-new-Pass-4711", "password2": "a-new-Pass-4711"}

    answers = [
        client.post(page(ana), user_form(ana)),
        client.post(reverse("admin:auth_user_password_change", args=(ana.pk,)), password),
        client.post(page(ana, "delete"), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    act_on_users = {"action": "delete_selected", "_selected_action": [ana.pk], "post": "yes"}
    client.post(page(ana, "changelist"), act_on_users)
    assert get_user_model().objects.filter(username="ana", password=ana.password).exists()


def test_a_weaker_user_can_be_changed_and_given_a_password(client: Client) -> None:
    log_in(client, *CHANGES_USERS)
    cy = make_user("cy", "view_user")
    password = {"password1": "a-new-Pass-4711", "password2": "a-new-Pass-4711"}

    client.post(reverse("admin:auth_user_password_change", args=(cy.pk,)), password)

    cy.refresh_from_db()
    assert cy.check_password("a-new-Pass-4711")


def test_a_group_is_changed_only_within_the_users_own_permissions(client: Client) -> None:
    me = log_in(client, "view_group", "change_group", "delete_group")
    strong, weak = (Group.objects.create(name=name) for name in ("strong", "weak"))
    send = Permission.objects.get(codename="send_messages")
    strong.permissions.add(send)
    me.groups.add(weak)

    assert client.post(page(strong), {"name": "mine"}).status_code == 403
    assert client.post(page(strong, "delete"), {"post": "yes"}).status_code == 403
    assert client.post(page(weak), {"name": "weak", "permissions": [send.pk]}).status_code == 200
    assert not weak.permissions.exists()


def test_a_superuser_gives_everything(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("root"))
    cy = make_user("cy")
    send = Permission.objects.get(codename="send_messages")

    client.post(page(cy), user_form(cy, is_superuser="on", user_permissions=[send.pk]))

    cy.refresh_from_db()
    assert cy.is_superuser
    assert list(cy.user_permissions.all()) == [send]


def make_groups() -> str:
    out = StringIO()
    call_command("make_groups", stdout=out)
    return out.getvalue()


def test_ready_made_groups_are_made_once_and_stay_as_they_are_edited() -> None:
    assert make_groups().count(": created\n") == len(READY_GROUPS)
    Group.objects.get(name="Senders").permissions.clear()
    Group.objects.get(name="Operators").delete()

    said = make_groups()

    assert "Operators: created\n" in said
    assert said.count("already exists") == len(READY_GROUPS) - 1
    assert not Group.objects.get(name="Senders").permissions.exists()


def rights_of(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_only_senders_may_send_and_no_group_manages_accounts() -> None:
    make_groups()

    may_send = [ready.name for ready in READY_GROUPS if "send_messages" in rights_of(ready.name)]
    assert may_send == ["Senders"]
    for ready in READY_GROUPS:
        assert not rights_of(ready.name) & {"change_user", "change_group", "view_mailboxmessage"}


def test_members_of_each_group_open_its_pages(client: Client) -> None:
    make_groups()
    opened = {
        "Course admins": ["/admin/segmentation/segment/add/", "/admin/interventions/cadence/add/"],
        "Staff who read reports": ["/reports/"],
        "Senders": ["/admin/interventions/sitepause/", "/admin/activity/course/"],
        "Operators": ["/admin/interventions/sitepause/", "/admin/activity/rejectedevent/"],
    }
    for number, (name, addresses) in enumerate(opened.items()):
        user = make_user(f"user-{number}")
        user.groups.add(Group.objects.get(name=name))
        client.force_login(user)
        for address in addresses:
            assert client.get(address).status_code == 200, (name, address)
