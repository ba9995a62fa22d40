"""Real workers and a beat on a real Valkey, on the test database: nobody calls a stage by hand."""

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis

from activity.models import Due
from config.beat import SECONDS_BETWEEN_BEATS
from config.celery import app
from config.embedded import valkey
from config.workers import STAGES, celery_command, worker_commands
from tests.conftest import StartCelery
from tests.factories import make_course, make_enrollment
from tests.processes import running, start_command, wait_until

# Longer than a few beats, so that runs of a busy stage lie on top of each other.
SECONDS_OF_A_BUSY_STAGE = 20.0
SECONDS_TO_WATCH = 26.0


def evaluated(enrollment_id: int) -> bool:
    return Due.objects.filter(pk=enrollment_id, evaluated_at__isnull=False).exists()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_beat_and_worker_evaluate_what_is_due(celery_processes: StartCelery) -> None:
    enrollment = make_enrollment(make_course())

    with celery_processes() as started:
        assert wait_until(lambda: evaluated(enrollment.pk))
        assert [process.poll() for process in started] == [None, None, None]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_worker_and_beat_wait_for_a_broker_that_comes_late_and_goes(
    celery_processes: StartCelery,
) -> None:
    with tempfile.TemporaryDirectory(prefix="nudgelab-late-") as folder:
        data = Path(folder) / "valkey"
        with celery_processes(env={"REDIS_URL": valkey.address(data)}) as started:
            time.sleep(3)
            valkey.ensure_running(data)
            first = make_enrollment(make_course())
            assert wait_until(lambda: evaluated(first.pk))

            valkey.stop(data)
            time.sleep(3)
            valkey.ensure_running(data)
            second = make_enrollment(make_course())
            assert wait_until(lambda: evaluated(second.pk))
            assert [process.poll() for process in started] == [None, None, None]
        valkey.stop(data)


def test_beat_entries_are_the_stages_and_none_expires() -> None:
    entries = app.conf.beat_schedule.values()

    assert {entry["task"] for entry in entries} == set(STAGES.values())
    assert not any("options" in entry for entry in entries)


def waiting(address: str) -> dict[str, int]:
    """Return how many tasks wait in the queue of each stage."""
    with Redis.from_url(address) as client:
        return {stage: int(client.llen(stage)) for stage in STAGES}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_beats_do_not_pile_up_while_nobody_works(tmp_path: Path) -> None:
    data = tmp_path / "valkey"
    valkey.ensure_running(data)
    env = {"REDIS_URL": valkey.address(data), "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    with (tmp_path / "log").open("w") as log:
        beat = start_command(*celery_command("beat", "--pidfile="), env=env, log=log)
        with running(beat):
            assert wait_until(lambda: set(waiting(env["REDIS_URL"]).values()) == {1})
            # Three beats more.
            time.sleep(3 * SECONDS_BETWEEN_BEATS + 1)
            found = waiting(env["REDIS_URL"])
    valkey.stop(data)

    assert found == dict.fromkeys(STAGES, 1)


def seconds_of(stage: str, log: Path) -> list[float]:
    """Return the instants at which the stage ran."""
    rows = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [float(instant) for name, instant in rows if name == stage]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_messages_go_out_at_every_beat_while_evaluation_is_busy(
    celery_processes: StartCelery, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    env = {"RUNS": str(log), "SLEEPS": f"evaluate={SECONDS_OF_A_BUSY_STAGE}"}

    with celery_processes(env=env, app="tests.config.sleeping_stages"):
        assert wait_until(lambda: bool(seconds_of("dispatch", log)))
        assert wait_until(lambda: bool(seconds_of("evaluate", log)))
        time.sleep(SECONDS_TO_WATCH)

    assert len(seconds_of("evaluate", log)) <= 3
    for stage in STAGES.keys() - {"evaluate"}:
        ran = seconds_of(stage, log)
        pauses = [later - earlier for earlier, later in pairwise(ran)]
        assert len(pauses) >= 4, stage
        assert max(pauses) < 8, (stage, pauses)


def test_every_queue_has_a_worker_and_every_stage_a_queue() -> None:
    served = [
        queue
        for command in worker_commands().values()
        for queue in command[command.index("--queues") + 1].split(",")
    ]

    assert sorted(served) == sorted(STAGES)
    assert {app.amqp.router.route({}, task)["queue"].name for task in STAGES.values()} == set(
        STAGES
    )
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == set(STAGES.values())


def test_client_of_the_broker_goes_round_the_queues() -> None:
    with app.connection_for_read() as connection:
        assert connection.transport_options["queue_order_strategy"] == "round_robin"
