"""What a learner agreed to does not change behind the learner's back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from activity import access
from activity.models import Course
from interventions.models import Cadence, CadenceStatus, Category, MessageTemplate
from interventions.operations import (
    InterventionError,
    check_category,
    save_category,
    save_template,
    set_cadence_status,
)
from tests.factories import make_course
from tests.interventions.factories import make_any_segment, make_cadence, make_delivery

pytestmark = pytest.mark.django_db
TEXTS = {"en": ("Hi", "<p>Hi</p>")}


def moved(template: MessageTemplate) -> MessageTemplate:
    news = save_category("news", name="News")
    return save_template(template.key, name=template.name, category=news, texts=TEXTS)


def archived(cadence: Cadence) -> Cadence:
    return set_cadence_status(cadence.pk, CadenceStatus.ARCHIVED)


def test_template_that_is_sent_stays_in_its_category() -> None:
    cadence = make_cadence()
    template = cadence.steps.get().template

    with pytest.raises(InterventionError, match=f"by “{cadence.name}") as refused:
        moved(template)

    assert refused.value.field == "category"
    archived(cadence)
    assert moved(template).category.key == "news"
    with pytest.raises(InterventionError, match="Both must have the same one"):
        set_cadence_status(cadence.pk, CadenceStatus.ACTIVE)


def test_template_of_waiting_messages_stays_in_its_category() -> None:
    delivery = make_delivery()
    archived(delivery.run.cadence)

    with pytest.raises(InterventionError, match="Messages with this template wait"):
        moved(delivery.step.template)


def test_refusal_names_no_cadence_of_another_course(monkeypatch: pytest.MonkeyPatch) -> None:
    template = make_cadence(segment=make_any_segment(make_course())).steps.get().template
    monkeypatch.setattr(access, "courses_of", lambda user: Course.objects.none())

    with pytest.raises(InterventionError, match="by a cadence of another course"):
        check_category(template, save_category("news", name="News"), viewer=User())


def post(client: Client, row: Category | MessageTemplate, **typed: Any) -> Any:
    page = f"/admin/interventions/{row._meta.model_name}/{row.pk}/change/"
    form = client.get(page).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value}
    inline = {"texts-TOTAL_FORMS": 0, "texts-INITIAL_FORMS": 0}
    return client.post(page, {**values, **inline, **typed}, follow=True)


def test_page_of_a_template_refuses_at_the_field(admin_client: Client) -> None:
    template = make_cadence().steps.get().template
    news = save_category("news", name="News")

    answer = post(admin_client, template, category=news.pk, key="another")

    assert "is sent under" in answer.context["adminform"].form.errors["category"][0]
    template.refresh_from_db()
    assert template.category_id != news.pk
    # Another key would make a second template, and cadences would send the first.
    post(admin_client, template, category=template.category_id, key="another", subject="New")
    assert MessageTemplate.objects.get().version == 2


def unticked(category: Category, admin: Client) -> str:
    form = post(admin, category, needs_opt_in="").context["adminform"].form
    return form.errors["needs_opt_in"][0]


def by_operation(category: Category, admin: Client) -> str:
    with pytest.raises(InterventionError) as refused:
        save_category(category.key, name=category.name, needs_opt_in=False)
    return str(refused.value)


@pytest.mark.parametrize("change", [unticked, by_operation])
def test_consent_that_was_asked_for_is_not_given_up(
    change: Callable[[Category, Client], str], admin_client: Client
) -> None:
    cadence = make_cadence()
    category = cadence.category
    Category.objects.update(needs_opt_in=True)
    category.refresh_from_db()

    assert "who never said anything" in change(category, admin_client)
    category.refresh_from_db()
    assert category.needs_opt_in
    set_cadence_status(cadence.pk, CadenceStatus.DRAFT)
    assert not save_category(category.key, name="x", needs_opt_in=False).needs_opt_in


def test_page_says_for_which_cadences_other_limits_hold_at_once(admin_client: Client) -> None:
    cadence = make_cadence()
    category = cadence.category
    assert category.quiet

    answer = post(admin_client, category, name="Better name")
    assert "holds at once" not in answer.text
    answer = post(admin_client, category, quiet="", key="other")

    assert f"holds at once for the messages of “{cadence.name}" in answer.text
    category.refresh_from_db()
    assert (category.quiet, category.key) == (False, cadence.category.key)
