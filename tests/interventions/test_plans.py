"""What PostgreSQL reads for pages and stages, with thousands of messages."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from activity.access import COMMAND_LINE
from activity.models import Learner
from activity.operations.feeds import measure_feeds
from interventions.models import Delivery
from interventions.queries.due import lock_due_runs
from interventions.queries.expected_messages import waiting_messages
from tests.factories import NOW
from tests.interventions.factories import make_delivery
from tests.plans import scanned_whole

pytestmark = pytest.mark.django_db
DELIVERY, RECEIPT = "interventions_delivery", "interventions_receipt"

# One in ten messages waits. The others went out, one an hour. The last acts arrived just now.
MANY = """
CREATE FUNCTION pg_temp.copied(record anyelement, changed jsonb) RETURNS anyelement LANGUAGE sql AS
    'SELECT jsonb_populate_record(record, changed)';
INSERT INTO activity_learner SELECT copy.* FROM (SELECT * FROM activity_learner LIMIT 1) AS one,
    generate_series(1, 8000) AS n, pg_temp.copied(one::activity_learner, jsonb_build_object(
        'id', 100000 + n, 'external_id', 'many-' || n, 'email', n || '@example.org')) AS copy;
INSERT INTO activity_enrollment SELECT copy.*
FROM (SELECT * FROM activity_enrollment LIMIT 1) AS one,
    generate_series(1, 8000) AS n, pg_temp.copied(one::activity_enrollment, jsonb_build_object(
        'id', 100000 + n, 'learner_id', 100000 + n, 'unit_key', gen_random_uuid())) AS copy;
INSERT INTO interventions_run SELECT copy.* FROM (SELECT * FROM interventions_run LIMIT 1) AS one,
    generate_series(1, 8000) AS n, pg_temp.copied(one::interventions_run, jsonb_build_object(
        'id', 100000 + n, 'enrollment_id', 100000 + n)) AS copy;
INSERT INTO interventions_delivery SELECT copy.*
FROM (SELECT * FROM interventions_delivery LIMIT 1) AS one, generate_series(1, 8000) AS n,
    pg_temp.copied(one::interventions_delivery, jsonb_build_object(
        'id', 100000 + n, 'key', gen_random_uuid(), 'run_id', 100000 + n,
        'learner_id', 100000 + n, 'enrollment_id', 100000 + n)
        || CASE WHEN n % 10 = 0
            THEN jsonb_build_object('reason', CASE WHEN n % 200 = 0 THEN 'quiet_hours' ELSE '' END)
            ELSE jsonb_build_object('state', 'handed_off', 'address', n || '@example.org',
                'claimed_at', one.planned_at - (8000 - n) * interval '1 hour',
                'finished_at', one.planned_at) END) AS copy;
INSERT INTO interventions_receipt (delivery_id, delivered_at)
SELECT id, claimed_at FROM interventions_delivery WHERE state = 'handed_off' ORDER BY id;
INSERT INTO activity_event (verb, occurred_at, received_at, count, properties, source, source_id,
    enrollment_id)
SELECT 'LOGIN', planned_at - interval '1 hour', planned_at - interval '1 hour', 1, '{}', 'many',
    id::text, enrollment_id
FROM interventions_delivery ORDER BY id LIMIT 20;
ANALYZE;
"""


@pytest.fixture(scope="module")
def _many(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Make the rows once for all tests, in a transaction that is rolled back after them."""
    with django_db_blocker.unblock(), transaction.atomic():
        make_delivery()
        with connection.cursor() as cursor:
            cursor.execute(MANY)
        connection.check_constraints()
        yield
        transaction.set_rollback(True)


@pytest.fixture
def staff(client: Client) -> Client:
    cache.clear()
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.mark.usefixtures("_many")
def test_waiting_messages_of_a_learner_are_found_without_those_of_others() -> None:
    learner = Learner.objects.get(external_id="many-20")

    tables, whole = scanned_whole(lambda: waiting_messages(learner, now=NOW, viewer=COMMAND_LINE))

    assert DELIVERY in tables
    assert whole & {DELIVERY, "activity_learner", "activity_enrollment"} == set()


@pytest.mark.usefixtures("_many")
def test_a_batch_of_steps_reads_no_other_run_that_is_due_at_the_same_instant() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE interventions_run SET next_at = %s, next_position = 0", [NOW])
        cursor.execute("ANALYZE interventions_run")

    tables, whole = scanned_whole(lambda: list(lock_due_runs(now=NOW, limit=100)))

    assert "interventions_run" in tables
    assert whole & {"interventions_run", "activity_enrollment", "activity_learner"} == set()


@pytest.mark.usefixtures("_many")
def test_a_few_new_events_of_a_feed_read_few_enrollments() -> None:
    tables, whole = scanned_whole(lambda: measure_feeds(now=NOW))

    assert "activity_enrollment" in tables
    assert "activity_enrollment" not in whole


@pytest.mark.usefixtures("_many")
def test_counts_of_the_ledger_look_up_nothing_for_messages_that_are_over(staff: Client) -> None:
    read: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        if "COUNT(" in sql and DELIVERY in sql and "GROUP BY" in sql:
            read.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        page = staff.get(reverse("delivery-counts"))

    waiting, over = read
    assert "activity_course" in waiting
    assert " JOIN " not in over
    assert "7,200" in page.text


@pytest.mark.usefixtures("_many")
@pytest.mark.parametrize("reason", ["quiet_hours", "cadence_paused", "learner_paused"])
def test_list_by_reason_reads_no_whole_ledger(staff: Client, reason: str) -> None:
    address = reverse("admin:interventions_delivery_changelist")

    tables, whole = scanned_whole(lambda: staff.get(address, {"reason": reason}))

    assert DELIVERY in tables
    assert DELIVERY not in whole


@pytest.mark.usefixtures("_many")
def test_deleting_a_learner_reads_no_whole_ledger() -> None:
    learner = Learner.objects.get(external_id="many-21")

    tables, whole = scanned_whole(lambda: list(Delivery.objects.filter(learner=learner)))

    assert DELIVERY in tables
    assert DELIVERY not in whole


@pytest.mark.usefixtures("_many")
def test_a_late_report_about_a_message_writes_to_no_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE interventions_receipt SET opened_at = %s WHERE id %% 50 = 0", [NOW])
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = %s",
            [RECEIPT],
        )
        updated, hot = cursor.fetchone()

    assert updated > 100
    assert hot == updated


def test_every_index_of_the_ledger_is_one_that_a_query_needs() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE tablename = %s", [DELIVERY])
        names = {name for (name,) in cursor.fetchall()}
    # The names that Django makes end in a digest.
    found = {re.sub(r"_[0-9a-f]{8}$", "", name) for name in names}

    assert found == {
        "interventions_delivery_pkey",
        "interventions_delivery_key_key",  # links of learners
        "delivery_once_a_step",  # plan, close_runs
        "interventions_delivery_step_id",  # funnel, numbers of a step
        "interventions_delivery_enrollment_id",  # page and list of a learner
        "delivery_leased",  # recover
        "delivery_in_doubt",  # start page, recover, health
        "delivery_failed",  # start page, health
        "delivery_of_learner",  # caps, deleting a learner
        "delivery_by_reason",  # list by reason
        "delivery_by_instant",  # course page, deliverability
        "delivery_by_provider_id",  # reports of providers
        "delivery_message_id_once",  # reports of providers over SMTP
        "delivery_counted_by_mailbox",  # caps
        "delivery_planned_of_learner",  # claim, learner page
        "delivery_planned_of_step",  # due messages, oldest due message
    }
