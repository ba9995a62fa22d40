"""An opt-out while the database is down is kept, confirmed, and applied later."""

import json
import os
import resource
import socket
import stat
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from activity.models import Event
from config.embedded import postgres
from interventions.models import Consent
from interventions.operations import NotKeptError, keep_no, kept_noes, save_preferences
from interventions.render.links import LinkOwner
from interventions.stages.recover import recover
from tests import template_database
from tests.factories import NOW
from tests.interventions.factories import dispatch, make_delivery, make_evaluated, mark_evaluated
from tests.processes import (
    SECONDS_TO_FINISH,
    free_port,
    running,
    start_command,
    start_python,
    wait_for_line,
    wait_until,
)


@pytest.fixture(autouse=True)
def folder(settings, tmp_path: Path) -> Path:
    settings.KEPT_NOES_DIR = str(tmp_path / "var" / "noes")
    return tmp_path / "var" / "noes"


def owner_of(delivery) -> LinkOwner:
    return LinkOwner(delivery.learner_id, delivery.enrollment_id, delivery.key)


def words() -> list[tuple[str, str]]:
    return list(Consent.objects.values_list("state", "source").order_by("id"))


def keep(delivery, **values) -> None:
    keep_no(owner_of(delivery), **{"source": "one_click", "said_at": NOW, **values})


@pytest.mark.django_db
def test_a_kept_opt_out_is_applied_once_as_of_its_instant(folder: Path) -> None:
    delivery = make_delivery()
    keep(delivery)

    for minutes in (5, 6):
        recover(now=NOW + timedelta(minutes=minutes))

    assert words() == [("out", "one_click")]
    assert Consent.objects.get().changed_at == NOW
    event = Event.objects.get(verb="UNSUBSCRIBED")
    assert (event.enrollment, event.occurred_at) == (delivery.enrollment, NOW)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("dropped", "unsubscribed")
    assert list(folder.iterdir()) == []


@pytest.mark.django_db
def test_nothing_goes_out_between_the_return_of_the_database_and_recover() -> None:
    first = make_delivery()
    keep(first)
    other = make_delivery()
    make_delivery(first.enrollment)

    sent, _ = dispatch(NOW + timedelta(minutes=1))

    assert [each.message_id for each in sent] == [f"<{other.key}@testserver>"]


@pytest.mark.django_db
def test_an_opt_in_after_the_opt_out_stays() -> None:
    delivery = make_delivery()
    keep(delivery)
    later = NOW + timedelta(minutes=1)
    wanted = {delivery.category_id}
    save_preferences(owner_of(delivery), wanted=wanted, source="preferences", now=later)

    recover(now=NOW + timedelta(minutes=2))
    keep(delivery)
    recover(now=NOW + timedelta(minutes=3))
    mark_evaluated(delivery.enrollment)

    assert len(dispatch(NOW + timedelta(minutes=4))[0]) == 1


@pytest.mark.django_db
def test_a_link_used_a_hundred_times_makes_one_file_with_the_last_opt_out(folder: Path) -> None:
    delivery = make_delivery()

    for seconds in range(100):
        keep(delivery, said_at=NOW + timedelta(seconds=seconds))

    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    recover(now=NOW + timedelta(minutes=5))
    assert Consent.objects.get().changed_at == NOW + timedelta(seconds=99)


@pytest.mark.django_db
def test_files_of_a_killed_process_are_applied_or_removed(folder: Path) -> None:
    delivery, torn = make_delivery(), make_delivery()
    keep(delivery)
    (path,) = folder.iterdir()
    path.rename(path.with_suffix(".taken"))
    keep(torn)
    (torn_path,) = folder.glob("*.no")
    # The process was killed while it wrote, before it answered.
    torn_path.rename(torn_path.with_suffix(".draft"))
    draft = torn_path.with_suffix(".draft")
    draft.write_text(draft.read_text()[:20])
    os.utime(draft, (NOW.timestamp(), NOW.timestamp()))

    recover(now=NOW + timedelta(minutes=5))
    assert list(folder.iterdir()) == [draft]
    recover(now=NOW + timedelta(hours=2))

    assert list(folder.iterdir()) == []
    assert Consent.objects.get().learner == delivery.learner


@pytest.mark.django_db
def test_deleted_learners_are_counted_and_a_bad_file_stops_no_other(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = make_delivery()
    gone = LinkOwner(10**9, 10**9, make_delivery().key)
    keep_no(gone, source="page", said_at=NOW)
    (folder / "0.no").write_text("not one of ours")
    keep(delivery)

    recover(now=NOW)
    recover(now=NOW)

    assert words() == [("out", "one_click")]
    assert "1 kept opt-outs were of learners who have been deleted" in caplog.text
    assert caplog.text.count("is set aside") == 1
    assert [path.suffix for path in folder.iterdir()] == [".bad"]


@pytest.mark.django_db
def test_a_full_or_unwritable_folder_refuses_an_opt_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other = make_delivery(), make_delivery()
    keep(kept)
    monkeypatch.setattr(kept_noes, "MOST_FILES", 1)
    with pytest.raises(NotKeptError, match="already holds 1 files"):
        keep(other)
    # The same link used again needs no more space.
    keep(kept)
    monkeypatch.undo()

    with no_room(), pytest.raises(NotKeptError, match="File too large"):
        keep(other)

    assert len(list(folder.iterdir())) == 1


class no_room:  # noqa: N801
    """Prevent this process from writing any more bytes to files."""

    def __enter__(self) -> None:
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self.before[1]))

    def __exit__(self, *about: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


RECOVER = """
import sys
from datetime import datetime
from interventions.stages.recover import recover
print("up", flush=True)
sys.stdin.readline()
recover(now=datetime.fromisoformat(sys.argv[1]))
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_apply_every_opt_out(folder: Path) -> None:
    deliveries = [make_delivery(make_evaluated()) for _ in range(20)]
    for delivery in deliveries:
        keep(delivery)
    env = {"KEPT_NOES_DIR": str(folder)}
    both = [start_python(RECOVER, NOW.isoformat(), env=env) for _ in range(2)]

    with running(*both):
        for process in both:
            wait_for_line(process, "up")
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in both:
            wait_for_line(process, "done")

    assert words() == [("out", "one_click")] * 20
    assert Event.objects.filter(verb="UNSUBSCRIBED").count() == 20
    assert list(folder.iterdir()) == []


MAKE_LINKS = """
from interventions.render.links import LinkOwner, make_token
from tests.interventions.factories import make_delivery
for _ in range(3):
    made = make_delivery()
    print(make_token(LinkOwner(made.learner_id, made.enrollment_id, made.key)), flush=True)
print("made", flush=True)
"""

WHO_SAID_NO = """
from common.clock import utc_now
from interventions.models import Consent, Delivery
from interventions.stages.recover import recover
recover(now=utc_now())
print(sorted(Consent.objects.values_list("learner", "state", "source")))
print(sorted(Delivery.objects.values_list("state", flat=True)))
"""


@pytest.fixture
def own_database(django_db_setup: None) -> Iterator[Path]:
    """Run a PostgreSQL server that the test can stop."""
    with tempfile.TemporaryDirectory(prefix="nudgelab-pg-") as name:
        data = Path(name) / "postgres"
        postgres.ensure_running(data)
        template_database.copy_to(data)
        yield data
        postgres.stop(data)


def ask(address: str, *, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(
        address, method=method, data=b"x=1" if method == "POST" else None
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_TO_FINISH) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.long("test_two_processes_at_once_apply_every_opt_out")
@pytest.mark.slow
def test_an_opt_out_while_the_database_is_down_is_applied(
    own_database: Path, folder: Path, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": postgres.address(own_database), "KEPT_NOES_DIR": str(folder)}
    maker = start_python(MAKE_LINKS, env=env)
    with running(maker):
        assert maker.stdout is not None
        tokens = [next(maker.stdout).strip() for _ in range(3)]
        wait_for_line(maker, "made")
    port = free_port()
    pages = f"http://127.0.0.1:{port}"
    web = (sys.executable, "-m", "gunicorn", "config.wsgi:application", "--no-control-socket")
    command = (*web, "--bind", f"127.0.0.1:{port}", "--threads", "4")
    with (tmp_path / "log").open("w") as log:
        server = start_command(*command, env=env, log=log)
        with running(server):
            assert wait_until(lambda: answers(port))
            assert ask(f"{pages}/unsubscribe/{tokens[0]}/")[0] == 200
            postgres.stop(own_database)

            status, page = ask(f"{pages}/unsubscribe/{tokens[0]}/")
            assert (status, "Stop all messages?" in page) == (200, True)
            for how, token in (("", tokens[0]), ("?page", tokens[1])):
                status, page = ask(f"{pages}/unsubscribe/{token}/{how}", method="POST")
                assert (status, "You are unsubscribed" in page) == (200, True)
            status, page = ask(f"{pages}/preferences/{tokens[2]}/", method="POST")
            assert (status, f"/unsubscribe/{tokens[2]}/" in page) == (503, True)
            # Nothing can be written, so the opt-out must not be confirmed.
            folder.rename(folder.with_name("full"))
            folder.write_text("no folder")
            status, page = ask(f"{pages}/unsubscribe/{tokens[2]}/", method="POST")
            assert (status, "in a few minutes" in page) == (503, True)
            folder.unlink()
            folder.with_name("full").rename(folder)
            server.terminate()
            server.wait(SECONDS_TO_FINISH)

    said = [json.loads(path.read_text()) for path in folder.iterdir()]
    assert len(said) == 2
    postgres.ensure_running(own_database)
    asked = start_python(WHO_SAID_NO, env=env)
    with running(asked):
        output, errors = asked.communicate(timeout=SECONDS_TO_FINISH)
    learners = {learner: source for learner, _, _, source, _ in said}
    expected = sorted((learner, "out", source) for learner, source in learners.items())
    assert output.splitlines() == [str(expected), "['dropped', 'dropped', 'planned']"], errors
    assert sorted(learners.values()) == ["one_click", "page"]
