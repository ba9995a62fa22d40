"""A row that is being changed can be referenced without waiting."""

from collections.abc import Callable
from datetime import time
from threading import Thread

import pytest
from django.db import connection, transaction

from interventions.models import Cadence, Category, MessageTemplate
from interventions.operations import InterventionError, save_template
from interventions.operations.limits import save_quiet_hours
from interventions.operations.templates import save_category
from tests.interventions.factories import make_any_segment, make_cadence, make_template
from tests.processes import SECONDS_TO_FINISH, wait_until_somebody_waits

# The lock of a foreign key check on the referenced row, but without waiting.
REFER = "SELECT 1 FROM interventions_category WHERE key = 'news' FOR KEY SHARE NOWAIT"
TEXTS = {"en": ("Hi", "<p>Hi</p>")}


def refer(found):
    try:
        with connection.cursor() as cursor:
            cursor.execute(REFER)
            found.append(cursor.fetchone())
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_category_being_changed_can_be_referenced():
    save_category("news", name="News")
    found = []
    with transaction.atomic():
        save_category("news", name="Newsletter")
        other = Thread(target=refer, args=[found])
        other.start()
        other.join(timeout=SECONDS_TO_FINISH)
    assert found == [(1,)]
    assert Category.objects.get(key="news").name == "Newsletter"


def save_beside(save: Callable[[], object], refused: list[str]) -> Thread:
    """Start a thread that saves in a transaction of its own, and notes why it may not."""

    def run() -> None:
        try:
            save()
        except InterventionError as error:
            refused.append(str(error))
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moves_first", [True, False])
def test_a_template_moves_to_another_category_or_gets_a_cadence_but_not_both(moves_first):
    template, news = make_template(), save_category("news", name="News")
    segment, refused = make_any_segment(), []
    saves = [
        lambda: save_template(template.key, name="Moved", category=news, texts=TEXTS),
        lambda: make_cadence(template=template, segment=segment),
    ]
    first, second = saves if moves_first else reversed(saves)

    with transaction.atomic():
        first()
        other = save_beside(second, refused)
        wait_until_somebody_waits()
    other.join(timeout=SECONDS_TO_FINISH)

    assert len(refused) == 1
    assert Cadence.objects.exists() is not moves_first
    moved = MessageTemplate.objects.get(pk=template.pk).category == news
    assert moved is moves_first


@pytest.mark.django_db
def test_saving_again_changes_the_row_and_creates_none():
    first = save_quiet_hours(begins=time(21), ends=time(8))
    second = save_quiet_hours(begins=time(22), ends=time(7))
    assert (first.pk, second.begins) == (second.pk, time(22))
