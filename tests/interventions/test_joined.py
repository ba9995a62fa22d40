"""The objects of a joined statement are those that Django reads."""

import pytest
from django.db import connection

from activity.models import Learner
from interventions.models import Delivery
from interventions.queries.joined import Joined
from tests.interventions.factories import make_delivery

pytestmark = pytest.mark.django_db

JOINED = Joined(delivery=Delivery, learner=Learner)


def read() -> list:
    """Return the delivery and the learner of a joined row."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {JOINED.columns} FROM interventions_delivery AS delivery"
            " JOIN activity_learner AS learner ON learner.id = delivery.learner_id"
        )
        return JOINED.objects(cursor.fetchone())


def test_joined_objects_are_those_that_django_reads() -> None:
    make_delivery(trace=[{"at": "2025-10-01", "state": "planned"}])

    for found in read():
        read_by_django = type(found).objects.get(pk=found.pk)
        wanted, given = vars(read_by_django), vars(found)
        assert {**wanted, "_state": None} == {**given, "_state": None}
        assert (given["_state"].adding, given["_state"].db) == (False, wanted["_state"].db)


def test_a_joined_object_can_be_saved() -> None:
    make_delivery()
    _delivery, learner = read()
    learner.name = "Ana Ng"

    learner.save()

    assert Learner.objects.get().name == "Ana Ng"
