"""No page and no command shows a user rows of a course that the user may not see."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from activity import access
from activity.access import for_user
from activity.models import SHARED, Course
from interventions.models import MailboxMessage
from tests.admin.menu import leave_out_menu
from tests.admin.populated import populate, populate_site
from tests.admin.structure import faults_of
from tests.examples import some
from tests.factories import NOW
from tests.guards.code import PACKAGES
from tests.segmentation.factories import ACTED_TODAY

pytestmark = pytest.mark.django_db

OURS = [model for model in apps.get_models() if model._meta.app_label in PACKAGES]
# Words that occur in every text of the other course.
FOREIGN = "Zebra"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Course:
    """Return the course that users may see. There is also another course."""
    course = populate("Ant")
    populate(FOREIGN)
    populate_site(FOREIGN)
    mine = Course.objects.filter(pk=course.pk)
    monkeypatch.setattr(access, "courses_of", lambda user: mine)
    return course


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.fixture
def staff_without_menu(staff: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return a client for whom pages have no menu, which another test looks at."""
    leave_out_menu(monkeypatch)
    return staff


def foreign_rows() -> Iterator[Model]:
    """Yield every row that belongs to the other course or only to the site."""
    for model in OURS:
        seen = for_user(model._default_manager.all(), get_user_model()()).values("pk")
        yield from model._default_manager.exclude(pk__in=seen)


def pages_of(row: Model, *actions: str) -> list[str]:
    prefix = f"admin:{row._meta.app_label}_{row._meta.model_name}"
    return [reverse(f"{prefix}_{action}", args=(row.pk,)) for action in actions]


def lists() -> dict[type[Model], str]:
    """Return the address of every admin list of our models."""
    return {
        model: reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in admin.site._registry
        if model in OURS
    }


def shown(client: Client, address: str) -> str:
    """Return the text of a page, without parts that come from the address.

    Whoever looks at a page looks at its structure too: to make it takes longer than both.
    """
    answer = client.get(address, follow=True)
    if answer["Content-Type"].startswith("text/html"):
        assert faults_of(answer.text) == [], address
    return re.sub(r'(?:value|href|action)="[^"]*"', "", answer.text)


def test_other_course_has_rows_of_nearly_every_model(own: Course) -> None:
    models = {type(row) for row in foreign_rows()}
    missing = [each for each in OURS if each not in models and each.course_scope != SHARED]

    assert {each._meta.label for each in missing} == {
        "activity.PendingNo",
        "config.StageRun",
        "interventions.ChannelPace",
    }


@pytest.mark.slow
def test_no_menu_names_the_other_course(own: Course, staff: Client) -> None:
    text = shown(staff, reverse("admin:index"))

    assert "nav-sidebar-apps" in text
    assert FOREIGN not in text


@pytest.mark.slow
def test_no_list_and_no_form_shows_the_other_course(
    own: Course, staff_without_menu: Client
) -> None:
    staff = staff_without_menu
    for model, address in some(lists().items(), one_in=2):
        assert FOREIGN not in shown(staff, address), model
        assert FOREIGN not in shown(staff, f"{address}add/"), model


@pytest.mark.slow
def test_no_filter_names_a_row_of_the_other_course(own: Course, staff_without_menu: Client) -> None:
    staff = staff_without_menu
    ids = {type(row): row.pk for row in foreign_rows()}
    for model, address in some(lists().items(), one_in=2):
        for field in model._meta.get_fields():
            target = field.related_model if field.concrete else None
            if target in ids:
                query = f"?{field.name}__id__exact={ids[target]}"
                assert FOREIGN not in shown(staff, address + query), (model, query)


@pytest.mark.slow
def test_page_of_own_rows_names_nothing_of_the_other_course(
    own: Course, staff_without_menu: Client
) -> None:
    staff = staff_without_menu
    for number, model in some(enumerate(lists()), one_in=2):
        # The page of the history is the same one for all models.
        actions = ("change", "history") if number % 5 == 0 else ("change",)
        for row in for_user(model._default_manager.all(), get_user_model()()):
            for address in pages_of(row, *actions):
                assert FOREIGN not in shown(staff, address), address


@pytest.mark.slow
def test_page_of_a_foreign_row_is_not_found(own: Course, staff_without_menu: Client) -> None:
    staff = staff_without_menu
    # Django repeats the key of a row that is not there. That of a page around messages is a text.
    rows = [row for row in foreign_rows() if type(row) in lists() and row.pk != FOREIGN]

    assert len(rows) > 25
    for row in rows:
        for address in pages_of(row, "change", "delete", "history"):
            answer = staff.get(address)
            assert answer.status_code in (302, 403, 404), address
            assert FOREIGN not in answer.text, address


def test_choices_found_by_typing_are_of_the_own_course(own: Course, staff: Client) -> None:
    asked = 0
    for model, page in admin.site._registry.items():
        for name in page.autocomplete_fields:
            query = {"app_label": model._meta.app_label, "model_name": model._meta.model_name}
            answer = staff.get(reverse("admin:autocomplete"), {**query, "field_name": name})
            assert FOREIGN not in answer.text, (model, name)
            asked += 1

    assert asked > 10


def test_pages_of_our_own_name_nothing_of_the_other_course(own: Course, staff: Client) -> None:
    segments = {one["name"]: one["id"] for one in _all("segmentation", "segment")}
    for name in ("preview", "surges"):
        place = f"admin:segmentation_segment_{name}"
        assert FOREIGN not in shown(staff, reverse(place, args=(segments["Ant segment"],)))
        assert staff.get(reverse(place, args=(segments[f"{FOREIGN} segment"],))).status_code == 404
    experiments = {one["name"]: one["key"] for one in _all("experiments", "experiment")}
    for name in ("report", "report-csv"):
        address = reverse(f"experiments:{name}", args=(experiments[f"{FOREIGN} experiment"],))
        assert staff.get(address).status_code == 404
    assert FOREIGN not in shown(staff, reverse("experiments:report-list"))
    assert FOREIGN not in shown(staff, "/mailbox/")
    message = MailboxMessage.objects.get()
    assert staff.get(f"/mailbox/{message.pk}/").status_code == 404


def _all(app: str, model: str) -> list[dict[str, Any]]:
    return list(apps.get_model(app, model).objects.values())


def test_saving_a_playbook_keeps_the_courses_that_its_form_did_not_offer(
    own: Course, staff: Client
) -> None:
    playbook = own.playbooks.get()
    other = Course.objects.exclude(pk=own.pk).get()
    playbook.courses.add(other)
    form = {"name": "Ant", "key": playbook.key, "mode": playbook.mode, "kept_for": []}
    inline = {"segments-TOTAL_FORMS": 0, "segments-INITIAL_FORMS": 0}

    answer = staff.post(pages_of(playbook, "change")[0], form | inline)

    assert answer.status_code == 302
    assert list(playbook.courses.all()) == [other]


@pytest.mark.parametrize("command", ["preview_rule", "export_signals"])
def test_commands_that_print_people_know_the_own_course_only(
    command: str, own: Course, tmp_path: Any
) -> None:
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps(ACTED_TODAY))
    arguments = {
        "preview_rule": (str(rule),),
        "export_signals": ("--out", str(tmp_path / "signals.csv")),
    }[command]
    as_of = (NOW + timedelta(hours=1)).isoformat()

    call_command(command, *arguments, "--course", own.key, "--as-of", as_of, stdout=StringIO())
    with pytest.raises(CommandError, match="no course"):
        call_command(command, *arguments, "--course", f"{FOREIGN}-course", "--as-of", as_of)
