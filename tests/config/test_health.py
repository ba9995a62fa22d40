"""The health page: its numbers, and each reason to be red."""

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from activity.models import PendingNo
from common.clock import utc_now
from config.embedded import valkey
from config.health import health, read
from config.models import StageRun
from config.running.stages import run_stage
from config.running.workers import STAGES
from interventions.operations.pauses import pause_cadence, pause_site
from tests.factories import make_course, make_enrollment
from tests.interventions.factories import (
    make_any_segment,
    make_cadence,
    make_delivery,
    make_evaluated,
    make_live_course,
    make_run,
    make_transition,
)
from tests.plans import scanned_whole
from tests.processes import is_said_apart

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def ago(seconds: float):
    return utc_now() - timedelta(seconds=seconds)


def run_all_stages() -> None:
    for stage in STAGES:
        run_stage(stage, lambda: None, host="here")


def make_late_message(**fields: object) -> None:
    values = {"planned_at": ago(95), "send_at": ago(90), "expires_at": ago(-3600), **fields}
    make_delivery(make_evaluated(make_live_course(live_since=ago(3600))), **values)


@pytest.fixture
def well(settings, valkey_url: str, transactional_db: None) -> None:
    """Let every part answer, and every stage have just run."""
    settings.REDIS_URL = valkey_url
    run_all_stages()


@pytest.mark.django_db
def test_reading_takes_eight_queries(django_assert_num_queries) -> None:
    with django_assert_num_queries(8):
        read()


@pytest.mark.django_db
def test_nothing_waits_on_an_empty_site() -> None:
    waiting = read().waiting

    assert (waiting.due_seconds, waiting.transition_seconds, waiting.message_seconds) == (
        None,
        None,
        None,
    )


@pytest.mark.django_db
def test_the_longest_waiting_time_of_each_kind_is_shown() -> None:
    make_enrollment(due_at=ago(70))
    make_enrollment(due_at=ago(-70))
    make_transition(make_evaluated(), make_any_segment(), next_attempt_at=ago(80))
    make_transition(make_evaluated(), make_any_segment(), next_attempt_at=ago(-80))
    make_late_message()
    make_run(make_evaluated(make_live_course()), next_position=0, next_at=ago(60))
    make_run(
        make_evaluated(make_course(clock_stopped_at=ago(99))), next_position=0, next_at=ago(99)
    )
    PendingNo.objects.create(
        mailbox="ana@example.org", kind="opt_out", source="feed", said_at=ago(50)
    )

    waiting = read().waiting

    assert waiting.step_seconds == pytest.approx(60, abs=5)
    assert waiting.opt_out_seconds == pytest.approx(50, abs=5)
    assert waiting.due_seconds == pytest.approx(70, abs=5)
    assert waiting.transition_seconds == pytest.approx(80, abs=5)
    assert waiting.message_seconds == pytest.approx(90, abs=5)


@pytest.mark.django_db
def test_message_that_a_person_holds_is_not_late() -> None:
    held = make_cadence()
    pause_cadence(held.pk, paused=True, now=utc_now())
    make_late_message(cadence=held)
    make_delivery(make_evaluated(make_course()), send_at=ago(90), planned_at=ago(90))
    assert read().waiting.message_seconds is None

    make_late_message()
    assert read().waiting.message_seconds is not None

    pause_site(paused=True, now=utc_now())
    assert read().waiting.message_seconds is None


@pytest.mark.django_db
def test_messages_in_doubt_and_recent_failures_are_counted() -> None:
    make_delivery(state="in_doubt", claimed_at=ago(10))
    make_delivery(state="failed", finished_at=ago(10))
    make_delivery(state="failed", finished_at=ago(3700))
    make_delivery()

    messages = read().messages

    assert (messages.in_doubt, messages.failed_recently, messages.planned) == (1, 1, 1)


@pytest.mark.usefixtures("well")
def test_all_is_well(client: Client) -> None:
    make_delivery(state="in_doubt", claimed_at=ago(10))

    response = client.get("/health")

    said = response.json()
    assert (response.status_code, said["status"], said["faults"]) == (200, "ok", [])
    assert response["Content-Type"] == "application/json"
    assert "no-store" in response["Cache-Control"]
    assert set(said["seconds_since_last_run"]) == set(STAGES)
    assert (said["database"], said["broker"], said["in_doubt"]) == ("ok", "ok", 1)


@pytest.mark.usefixtures("well")
def test_person_sees_a_page_without_a_query_for_the_user(
    admin_client: Client, django_assert_num_queries
) -> None:
    # The health is read in another connection. A session would be read in this one.
    with django_assert_num_queries(0):
        response = admin_client.get("/health", headers={"Accept": BROWSER})

    assert response["Content-Type"].startswith("text/html")
    assert "<h1>All is well</h1>" in response.content.decode()


@pytest.mark.usefixtures("well")
def test_monitor_may_use_another_host_name_and_no_tls(settings, client: Client) -> None:
    settings.ALLOWED_HOSTS = ["courses.example.org"]
    settings.SECURE_SSL_REDIRECT = True

    response = client.get("/health", headers={"host": "10.0.0.7:8000"})

    assert response.status_code == 200
    assert client.post("/health").status_code == 405


@pytest.mark.usefixtures("well")
def test_stage_that_is_silent_for_a_minute_is_red(client: Client) -> None:
    StageRun.objects.filter(stage="dispatch").update(succeeded_at=ago(62))

    response = client.get("/health")

    assert response.status_code == 503
    (fault,) = response.json()["faults"]
    assert fault["part"] == "dispatch"
    assert fault["sentence"].startswith("The stage dispatch has not finished a run for 6")
    assert "Check that its worker and the beat run" in fault["sentence"]

    # Another machine does the work of the one that is gone.
    run_stage("dispatch", lambda: None, host="there")
    assert client.get("/health").status_code == 200


@pytest.mark.usefixtures("well")
def test_stage_that_only_fails_is_red_and_its_error_is_not_shown(client: Client) -> None:
    StageRun.objects.filter(stage="react").update(
        succeeded_at=ago(62), error="ValueError: ana@example.org of web-7"
    )

    said = client.get("/health").content.decode()
    page = client.get("/health", headers={"Accept": BROWSER}).content.decode()

    for text in (said, page):
        assert "The stage react has not finished a run for" in text
        assert "The last run of the stage react failed on 1 of the machines" in text
        assert "ana@" not in text
        assert "here" not in text.replace("where", "").replace("there", "")


@pytest.mark.usefixtures("well")
def test_stage_that_never_ran_is_red(client: Client) -> None:
    StageRun.objects.filter(stage="plan").delete()

    (fault,) = client.get("/health").json()["faults"]

    assert "has never finished a run" in fault["sentence"]


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("seconds", "words"),
    [(8, "ahead of"), (3600, "ahead of"), (-3600, "behind")],
)
def test_wrong_clock_of_the_web_server_is_red(seconds: int, words: str) -> None:
    state = health(clock=lambda: utc_now() + timedelta(seconds=seconds))

    (fault,) = state.faults
    assert fault.part == "clock"
    assert is_said_apart(fault.sentence, abs(seconds), words)
    # By the database's clock nothing is late.
    assert max(state.reading.stages.values()) < 60


@pytest.mark.usefixtures("well")
def test_wrong_clock_of_a_worker_is_a_remark_while_others_do_its_work() -> None:
    for stage in STAGES:
        run_stage(stage, lambda: None, clock=lambda: utc_now() + timedelta(seconds=8), host="there")

    state = health()

    assert state.faults == ()
    (remark,) = state.remarks
    assert "The clock of a machine with workers is " in remark
    assert is_said_apart(remark, 8, "ahead of")


@pytest.mark.usefixtures("well")
def test_broker_that_is_down_is_red_until_it_is_back(
    settings, client: Client, tmp_path: Path
) -> None:
    data = tmp_path / "valkey"
    settings.REDIS_URL = valkey.address(data)
    valkey.ensure_running(data)
    assert client.get("/health").status_code == 200

    valkey.stop(data)
    response = client.get("/health")
    said = response.json()
    assert (response.status_code, said["broker"], said["database"]) == (503, "fail", "ok")
    assert "Start it, or correct REDIS_URL" in said["faults"][0]["sentence"]
    # The other numbers are still shown.
    assert said["in_doubt"] == 0

    valkey.ensure_running(data)
    assert client.get("/health").status_code == 200
    valkey.stop(data)


@pytest.mark.usefixtures("well")
def test_broker_that_hangs_is_red(settings, client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://:secret-word@127.0.0.1:{silent.getsockname()[1]}/0"

        response = client.get("/health")

    assert response.status_code == 503
    assert [fault["part"] for fault in response.json()["faults"]] == ["broker"]
    assert "secret-word" not in response.content.decode()


MANY = """
INSERT INTO interventions_run (cadence_id, enrollment_id, ghost, status, exit_reason, started_at,
    ended_at, attempts, error)
SELECT cadence_id, enrollment_id, false, 'finished', '', started_at, started_at, 0, ''
FROM interventions_run CROSS JOIN generate_series(1, 5000);
INSERT INTO interventions_delivery (key, run_id, step_id, learner_id, enrollment_id, category_id,
    channel, priority, ghost, state, reason, planned_at, send_at, expires_at, finished_at,
    claimed_at, attempts, doubted, message_id, address, trace)
SELECT gen_random_uuid(), run.id, step_id, learner_id, one.enrollment_id, category_id, channel,
    priority, false, 'handed_off', '', planned_at, send_at, expires_at, planned_at, planned_at,
    1, false, '', '', '[]'
FROM interventions_delivery AS one CROSS JOIN interventions_run AS run
WHERE run.status = 'finished';
ANALYZE interventions_delivery; ANALYZE interventions_run;
"""


@pytest.mark.django_db
def test_no_statement_reads_the_whole_ledger() -> None:
    make_late_message()
    with connection.cursor() as cursor:
        cursor.execute(MANY)

    tables, whole = scanned_whole(read)

    assert "interventions_delivery" in tables
    assert "interventions_delivery" not in whole
