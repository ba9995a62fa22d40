"""Every model is in the admin, and no list or page reads or counts a whole table."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import make_enrollment

OURS = ("activity", "segmentation", "experiments", "interventions")
# Tables that grow with learners, events or messages.
BIG = (
    "activity_learner",
    "activity_enrollment",
    "activity_event",
    "activity_due",
    "activity_dailyactivity",
    "activity_progress",
    "activity_rejectedevent",
    "segmentation_membership",
    "segmentation_transition",
    "segmentation_override",
    "experiments_assignment",
    "experiments_deliveryoutcome",
    "interventions_run",
    "interventions_delivery",
    "interventions_consent",
    "interventions_mailboxmessage",
    "interventions_trackingevent",
    "interventions_receipt",
)
MODELS = [m for m in apps.get_models() if m._meta.app_label in OURS and not m._meta.auto_created]
NAMES = [m._meta.label_lower for m in MODELS]


@pytest.fixture
def staff(client, db):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def unbounded(queries):
    """Return the statements that read or count a big table without a limit or a key."""
    found = []
    for query in queries:
        sql = query["sql"]
        big = any(re.search(rf'FROM "{table}"', sql) for table in BIG)
        keyed = re.search(r'WHERE .*"(id|enrollment_id|learner_id)" (=|IN)', sql)
        if big and "LIMIT" not in sql and not keyed:
            found.append(sql)
    return found


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_model_is_in_the_admin(model):
    assert model in admin.site._registry


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.sampled(3)
def test_list_and_the_counts_of_its_filters_read_a_page_not_a_table(staff, model):
    make_enrollment()
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    with CaptureQueriesContext(connection) as context:
        # If a list does not know the parameter, Django leads to the list without it.
        response = staff.get(url, {"_facets": "True"}, follow=True)
    assert response.status_code == 200
    assert unbounded(context.captured_queries) == []


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.sampled(3)
def test_search_reads_a_page_not_a_table(staff, model):
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    with CaptureQueriesContext(connection) as context:
        response = staff.get(url, {"q": "ana"})
    assert response.status_code == 200
    assert unbounded(context.captured_queries) == []


def test_learner_page_loads_no_list_of_related_rows(staff):
    enrollment = make_enrollment()
    url = reverse("admin:activity_enrollment_change", args=(enrollment.pk,))
    with CaptureQueriesContext(connection) as context:
        assert staff.get(url).status_code == 200
    assert unbounded(context.captured_queries) == []


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.sampled(3)
def test_anonymous_visitor_is_sent_to_the_login(client, db, model):
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    response = client.get(url)
    assert response.status_code == 302
    assert "/admin/login/" in response.url


def test_a_count_of_a_big_table_would_be_found():
    assert unbounded([{"sql": 'SELECT COUNT(*) AS "__count" FROM "activity_event"'}])
    assert unbounded([{"sql": 'SELECT "activity_event"."id" FROM "activity_event" ORDER BY 1'}])
