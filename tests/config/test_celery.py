"""Real workers and a beat on a real Valkey and the test database. No test calls a stage itself."""

import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from celery.beat import ScheduleEntry
from kombu import Exchange, Queue
from kombu.transport.redis import PRIORITY_STEPS
from redis import Redis

from activity.models import Due
from config.celery import app
from config.embedded import valkey
from config.running.beat import StageScheduler
from config.running.workers import STAGES, WORKERS, celery_command, worker_commands
from tests.conftest import QUICK_BEAT, StartCelery
from tests.factories import make_course, make_enrollment
from tests.processes import (
    CELERY,
    SECONDS_TO_FINISH,
    free_port,
    running,
    start_forked,
    wait_until,
)
from tests.silent_proxy import SilentProxy, serve

SLEEPING = "tests.config.sleeping_stages"
OTHERS = STAGES.keys() - {"evaluate"}


def wait_until_evaluated() -> bool:
    """Return whether the workers evaluate a learner who enrolls now."""
    new = Due.objects.filter(pk=make_enrollment(make_course()).pk, evaluated_at__isnull=False)
    return wait_until(new.exists)


@contextmanager
def broker(folder: Path, port: int) -> Iterator[SilentProxy]:
    """Run an empty Valkey at the port."""
    valkey.ensure_running(folder)
    try:
        with serve(lambda: connect(valkey.address(folder)), port=port) as proxy:
            yield proxy
    finally:
        valkey.stop(folder)


def connect(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address.removeprefix("unix://"))
    return connection


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_worker_and_beat_wait_for_a_broker_that_comes_late_falls_silent_and_goes(
    celery_processes: StartCelery, tmp_path: Path
) -> None:
    def complaints() -> int:
        return (tmp_path / "celery.log").read_text().count("Cannot connect to ")

    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="nudgelab-late-") as folder,
        celery_processes(env={"REDIS_URL": f"redis://127.0.0.1:{port}/0"}) as started,
    ):
        assert wait_until(lambda: complaints() >= len(WORKERS))
        with broker(Path(folder), port) as proxy:
            assert wait_until_evaluated()
            # A connection that is silent but not closed must be given up.
            assert proxy.silence() >= len(started)
            assert wait_until_evaluated()

        before = complaints()
        assert wait_until(lambda: complaints() >= before + len(WORKERS))
        with broker(Path(folder), port):
            assert wait_until_evaluated()
        assert [process.poll() for process in started] == [None, None, None]


@pytest.mark.slow
def test_task_that_cannot_be_confirmed_leaves_room_for_the_next() -> None:
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="nudgelab-ack-") as folder,
        broker(Path(folder), port) as proxy,
        app.connection_for_read(
            url=f"redis://127.0.0.1:{port}/0", transport_options={"socket_timeout": 1}
        ) as connection,
    ):
        queue = connection.SimpleQueue("evaluate")
        queue.put("one")
        channel = queue.channel
        channel.basic_qos(prefetch_count=1)
        message = queue.get(timeout=SECONDS_TO_FINISH)
        assert not channel.qos.can_consume()

        proxy.silence()
        with pytest.raises(channel.connection_errors):
            message.ack()

        assert channel.qos.can_consume()


@pytest.mark.slow
def test_a_worker_outlives_a_broker_that_goes_before_a_task_is_confirmed() -> None:
    # The channels of a worker: one for its tasks, and one to be told to stop a task.
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nudgelab-gone-") as folder:
        with broker(Path(folder), port):
            connection = app.connection_for_read(url=f"redis://127.0.0.1:{port}/0")
            channel = connection.default_channel
            told = Exchange("told", type="fanout")
            connection.Consumer(
                [Queue("told", told, auto_delete=True)], channel=connection.channel()
            ).consume()
            connection.Consumer([Queue("evaluate")], callbacks=[lambda *_: None]).consume()
            connection.SimpleQueue("evaluate").put("one")

            def has_one_and_waits_for_the_next() -> bool:
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.1)
                return bool(channel.qos._delivered and channel._in_poll)

            assert wait_until(has_one_and_waits_for_the_next)

        # As the worker does when its connection is lost.
        with suppress(*connection.connection_errors):
            connection.collect(socket_timeout=1)
        connection.close()

        assert not channel.qos._delivered


def test_beat_has_one_entry_per_stage_and_none_expires() -> None:
    entries = app.conf.beat_schedule.values()

    assert {entry["task"] for entry in entries} == set(STAGES.values())
    assert not any("options" in entry for entry in entries)


@pytest.mark.slow
def test_beat_goes_on_after_a_broker_that_stops_between_a_look_and_a_task(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tempfile.TemporaryDirectory(prefix="nudgelab-stops-") as folder:
        data = Path(folder) / "valkey"
        valkey.ensure_running(data)
        address = valkey.address(data)

        class StopsOnce(StageScheduler):
            connection = app.connection_for_write(url=address.replace("unix:", "redis+socket:"))
            stops = 1

            def _is_waiting(self, entry: ScheduleEntry) -> bool:
                is_waiting = super()._is_waiting(entry)
                if self.stops:
                    self.stops = 0
                    valkey.stop(data)
                return is_waiting

        beat = StopsOnce(app=app)
        beat.tick()
        assert "The broker does not accept the beat" in caplog.text

        valkey.ensure_running(data)
        beat._next_beat = 0
        beat.tick()
        assert waiting(address) == dict.fromkeys(STAGES, 1)
        valkey.stop(data)


def waiting(address: str) -> dict[str, int]:
    """Return the number of waiting tasks per stage."""
    with Redis.from_url(address) as client:
        return {stage: int(client.llen(stage)) for stage in STAGES}


def times_looked(address: str) -> int:
    """Return how often the length of a queue was read."""
    with Redis.from_url(address) as client:
        return int(client.info("commandstats")["cmdstat_llen"]["calls"])


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_beats_do_not_pile_up_without_a_worker(tmp_path: Path) -> None:
    data = tmp_path / "valkey"
    valkey.ensure_running(data)
    env = {"REDIS_URL": valkey.address(data), "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    with (tmp_path / "log").open("w") as log:
        _, *command = celery_command("beat", "--pidfile=", app=QUICK_BEAT)
        beat = start_forked(*command, env=env, preload=CELERY, log=log)
        with running(beat):
            assert wait_until(lambda: set(waiting(env["REDIS_URL"]).values()) == {1})
            # Three beats more: each looks at each queue, which Redis keeps as a list a priority.
            looks = times_looked(env["REDIS_URL"]) + 3 * len(STAGES) * len(PRIORITY_STEPS)
            assert wait_until(lambda: times_looked(env["REDIS_URL"]) >= looks)
            found = waiting(env["REDIS_URL"])
    valkey.stop(data)

    assert found == dict.fromkeys(STAGES, 1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_messages_go_out_at_every_beat_while_evaluation_is_busy(
    celery_processes: StartCelery, tmp_path: Path
) -> None:
    log, busy = tmp_path / "runs", tmp_path / "busy"
    busy.touch()

    def runs() -> Counter[str]:
        return Counter(log.read_text().split() if log.exists() else [])

    with celery_processes(env={"RUNS": str(log), "BUSY": str(busy)}, app=SLEEPING):
        assert wait_until(lambda: runs()["evaluate"] == 1)
        since = runs()
        assert wait_until(lambda: min((runs() - since)[stage] for stage in OTHERS) >= 4)
        # Evaluation was busy all the time but occupied only its own slot.
        assert runs()["evaluate"] == 1
        busy.unlink()


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


def test_workers_read_their_queues_in_turn() -> None:
    with app.connection_for_read() as connection:
        assert connection.transport_options["queue_order_strategy"] == "round_robin"
