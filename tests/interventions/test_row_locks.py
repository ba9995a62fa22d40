"""A row that is being changed can be referenced without waiting."""

from datetime import time
from threading import Thread

import pytest
from django.db import connection, transaction

from interventions.models import Category
from interventions.operations.limits import save_quiet_hours
from interventions.operations.templates import save_category
from tests.processes import SECONDS_TO_FINISH

# The lock of a foreign key check on the referenced row, but without waiting.
REFER = "SELECT 1 FROM interventions_category WHERE key = 'news' FOR KEY SHARE NOWAIT"


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


@pytest.mark.django_db
def test_saving_again_changes_the_row_and_creates_none():
    first = save_quiet_hours(begins=time(21), ends=time(8))
    second = save_quiet_hours(begins=time(22), ends=time(7))
    assert (first.pk, second.begins) == (second.pk, time(22))
