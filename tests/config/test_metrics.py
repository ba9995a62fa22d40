"""The Prometheus metrics, and the access to them."""

from datetime import timedelta
from math import inf

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from common.clock import utc_now
from config import env
from config.health.faults import NO_BROKER, NO_DATABASE, Health
from config.health.metrics import metrics_of
from config.models import StageRun
from config.running.stages import run_stage
from config.running.workers import STAGES
from tests.factories import NOW, make_enrollment
from tests.interventions.factories import dispatch, make_delivery, make_evaluated

TOKEN = "test-only-token-0123456789-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def well(settings, valkey_url: str, transactional_db: None) -> None:
    """Let every part answer, and every stage except plan have just run."""
    settings.REDIS_URL = valkey_url
    for stage in STAGES.keys() - {"plan"}:
        run_stage(stage, lambda: {"done": 2}, host="here")


def values(client: Client) -> dict[tuple[str, str], float]:
    """Return the samples by name and label values."""
    response = client.get("/metrics")
    assert response.status_code == 200
    return parsed(response.content)


def parsed(content: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, " ".join(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


@pytest.mark.usefixtures("well")
def test_metrics_equal_the_health_page(client: Client) -> None:
    make_enrollment(due_at=utc_now() - timedelta(seconds=70))
    make_delivery(state="in_doubt", claimed_at=utc_now())
    make_delivery(state="failed", finished_at=utc_now())
    make_delivery()
    StageRun.objects.filter(stage="react").update(error="ValueError: no", clock_difference=1.5)

    said = values(client)

    assert said["nudgelab_up", "database"] == said["nudgelab_up", "broker"] == 1
    # The stage plan has never run.
    assert said["nudgelab_healthy", ""] == 0
    assert said["nudgelab_stage_last_run_age_seconds", "plan"] == inf
    assert said["nudgelab_stage_last_run_age_seconds", "dispatch"] < 60
    assert said["nudgelab_stage_last_run_failed", "here react"] == 1
    assert said["nudgelab_stage_last_run_failed", "here dispatch"] == 0
    assert said["nudgelab_host_clock_difference_seconds", "here react"] == 1.5
    assert said["nudgelab_oldest_due_age_seconds", ""] == pytest.approx(70, abs=5)
    assert said["nudgelab_oldest_transition_age_seconds", ""] == 0
    assert said["nudgelab_deliveries", "in_doubt"] == said["nudgelab_deliveries", "planned"] == 1
    assert said["nudgelab_deliveries_failed_last_hour", ""] == 1


@pytest.mark.usefixtures("well")
def test_counts_of_all_runs_are_summed(client: Client) -> None:
    run_stage("dispatch", lambda: {"handed_off": 3}, host="here")
    run_stage("dispatch", lambda: {"handed_off": 4, "done": 1}, host="here")
    run_stage("dispatch", lambda: None, host="here")

    said = values(client)

    assert said["nudgelab_stage_outcomes_total", "here handed_off dispatch"] == 7
    assert said["nudgelab_stage_outcomes_total", "here done dispatch"] == 3


@pytest.mark.usefixtures("well")
def test_outcomes_are_counted_by_reason(client: Client) -> None:
    delivery = make_delivery(make_evaluated())
    delivery.learner.consents.create(state="out", changed_at=NOW, source="page")

    run_stage("dispatch", lambda: dispatch(NOW)[1], host="here")

    said = values(client)
    assert said["nudgelab_stage_reasons_total", "here dropped opted_out dispatch"] == 1
    assert said["nudgelab_stage_outcomes_total", "here dropped dispatch"] == 1


def test_metrics_show_parts_that_are_down() -> None:
    said = parsed(metrics_of(Health((NO_DATABASE, NO_BROKER))))

    assert said == {
        ("nudgelab_healthy", ""): 0,
        ("nudgelab_up", "database"): 0,
        ("nudgelab_up", "broker"): 0,
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"REMOTE_ADDR": "10.0.0.7"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"X-Forwarded-For": "203.0.113.9"}},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"X-Forwarded-Proto": "https"}},
        {"REMOTE_ADDR": "::1", "headers": {"Via": "1.1 proxy"}},
        {"REMOTE_ADDR": "127.0.0.1", "headers": {"Authorization": f"Bearer {TOKEN}", "Via": "1"}},
    ],
)
def test_metrics_are_refused_to_other_machines(client: Client, asked) -> None:
    response = client.get("/metrics", **asked)

    assert response.status_code == 403
    assert b"nudgelab" not in response.content


@pytest.mark.parametrize(
    "header", ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", TOKEN]
)
def test_a_set_token_is_required_from_everybody(client: Client, settings, header: str) -> None:
    settings.METRICS_TOKEN = TOKEN

    assert client.get("/metrics", headers={"Authorization": header}).status_code == 403


@pytest.mark.usefixtures("well")
def test_token_opens_the_metrics_to_other_machines(client: Client, settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9"}

    response = client.get("/metrics", REMOTE_ADDR="10.0.0.7", headers=headers)

    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


def test_token_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "metrics")
    with pytest.raises(env.SettingsError, match=r"METRICS_TOKEN is 'too easy to guess'"):
        env.secret("METRICS_TOKEN", default="")

    monkeypatch.setenv("METRICS_TOKEN", "")
    assert env.secret("METRICS_TOKEN", default="") == ""
