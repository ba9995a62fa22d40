"""A forked process cannot be told from one that was started, but by what it costs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from django.db import connection

from tests.processes import (
    DJANGO,
    SECONDS_TO_FINISH,
    Finished,
    environment,
    finish,
    run_python,
    running,
    servers,
    start_command,
    start_forked,
    start_python,
    wait_for_line,
    wait_until,
)
from tests.zygote import client
from tests.zygote.client import Process, ServerEndedError

HERE = """
import os, signal, sys, threading
names = ("SIGINT", "SIGTERM", "SIGCHLD", "SIGPIPE")
print(__name__, sys.modules["__main__"].names is names, sys.argv, sys.path[0], sys.stdin.read())
print(*(signal.getsignal(getattr(signal, name)) for name in names if name != "SIGINT"))
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print(os.getcwd(), os.getpgrp(), os.getsid(0), sorted(os.listdir("/proc/self/fd")))
print(threading.active_count(), os.listdir("/proc/self/task") == [str(os.getpid())])
print(sys.stdout.encoding, sys.stdout.line_buffering, sys.stdout.write_through)
print(os.environ == dict(line.split("=", 1) for line in os.environ["ASKED"].splitlines()))
"""
# Programs that a shell starts in the background ignore Ctrl-C, and so would all that they start.
CTRL_C = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
os.kill(os.getpid(), signal.SIGINT)
signal.pause()
"""
ENDS = {
    "well": "print('done')",
    "by an exception": "raise ValueError('no')",
    "with a status": "raise SystemExit(3)",
    "with words": "import sys; sys.exit('words')",
    "by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "by Ctrl-C": CTRL_C,
    "at once": "import os; print('said', end=''); os._exit(4)",
    "with what is left to do": "import atexit; atexit.register(print, 'at the end')",
    "badly in what is left to do": "import atexit; atexit.register(lambda: 1 / 0)",
    "with a thread": "import threading as t; t.Timer(0.1, print, ['from the thread']).start()",
    "with nobody who listens": "import os; os.close(1); print('lost')",
    "after a child": "import os; pid = os.fork(); pid and print(os.waitpid(pid, 0)[1])",
}


def both(*arguments: str, given: str = "", env: dict[str, str] | None = None) -> list[Finished]:
    """Return how the same ends as a process that was started, and as one that was forked."""
    started = [
        start_command(sys.executable, *arguments, env=env),
        start_forked(*arguments, env=env),
    ]
    assert [isinstance(process, Process) for process in started] == [False, True]
    with running(*started):
        said = [process.communicate(given, SECONDS_TO_FINISH) for process in started]
        return [
            Finished(process.wait(), *words) for process, words in zip(started, said, strict=True)
        ]


def test_a_forked_process_finds_what_a_started_one_finds() -> None:
    asked = environment()
    env = {"ASKED": "\n".join(f"{name}={value}" for name, value in asked.items())}

    started, forked = both("-c", HERE, "one", "two", given="words", env=env)

    assert forked == started
    assert started.output.startswith("__main__ True ['-c', 'one', 'two']  words\n")


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
@pytest.mark.sampled(2)
def test_a_forked_process_ends_like_a_started_one(code: str) -> None:
    started, forked = both("-c", code)

    assert (forked.status, forked.output) == (started.status, started.output)
    # The lines before it name the files from which the code was called.
    assert forked.errors.splitlines()[-1:] == started.errors.splitlines()[-1:]


def test_a_file_and_a_module_are_run_like_by_python(tmp_path: Path) -> None:
    code = "import sys; print(__name__, __file__, __spec__, sys.argv, sys.path[0]); sys.exit(5)"
    (tmp_path / "said.py").write_text(code)

    started, forked = both(str(tmp_path / "said.py"), "one")
    assert (forked.status, forked.output) == (5, started.output)

    started, forked = both("-m", "json.tool", "--compact", given='{"a": 1}')
    assert (forked.status, forked.output) == (0, started.output) == (0, '{"a":1}\n')


def test_each_is_a_process_of_its_own_that_can_be_killed() -> None:
    code = "import os; print(os.getpid(), flush=True); input()"
    forked = [start_forked("-c", code) for _ in range(2)]
    with running(*forked):
        for process in forked:
            wait_for_line(process, str(process.pid))
        assert len({os.getpid(), *(process.pid for process in forked)}) == 3
        killed, other = forked
        with pytest.raises(subprocess.TimeoutExpired):
            killed.wait(0.01)
        killed.kill()
        assert killed.wait() == killed.poll() == -signal.SIGKILL
        assert not psutil.pid_exists(killed.pid)
        # A signal to a process that is gone reaches nobody.
        killed.terminate()

        assert other.poll() is None
        other.terminate()
        assert other.wait() == -signal.SIGTERM


def test_what_was_said_is_not_lost_by_a_timeout(tmp_path: Path) -> None:
    code = "import os, sys, time\nprint(input(), flush=True)\n"
    code += "while not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    process = start_forked("-c", code, str(tmp_path / "go on"))
    with running(process):
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate("said", timeout=0.01)

        (tmp_path / "go on").touch()
        assert process.communicate() == ("said\n", "")
    assert process.returncode == 0


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_inherited_and_the_servers_have_none() -> None:
    code = "from django.db import connection as c; print(c.connection); c.cursor()"
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def nobody_is_connected() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(others)
            return bool(cursor.fetchone()[0] == 0)

    assert run_python(code) == "None\n"
    # A connection is removed a moment after its process has ended.
    assert wait_until(nobody_is_connected)


SHOW = """
from django.conf import settings
print(settings.EMAIL_HOST, settings.DATABASES["default"]["OPTIONS"].get("application_name"))
"""


@pytest.mark.long("test_a_forked_process_finds_what_a_started_one_finds")
def test_each_process_has_the_settings_that_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_SERVERS", 1)
    for number in range(2):
        env = {"EMAIL_HOST": f"mail-{number}.example.org"}
        assert run_python(SHOW, env=env) == f"mail-{number}.example.org None\n"

    address = f"{environment()['DATABASE_URL']}&application_name=quick"
    assert run_python(SHOW, env={"DATABASE_URL": address}).split()[1] == "quick"
    assert "example.org" not in run_python(SHOW)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHASHSEED", "LC_ALL", "TZ"])
def test_what_is_read_at_the_start_of_python_needs_a_start(name: str) -> None:
    env = {name: {"PYTHONPATH": "/elsewhere", "PYTHONHASHSEED": "7"}.get(name, "C")}
    process = start_forked("-c", f"import os; print(os.environ[{name!r}])", env=env)

    assert not isinstance(process, Process)
    assert finish(process).output == f"{env[name]}\n"


@pytest.mark.long("test_each_is_a_process_of_its_own_that_can_be_killed")
def test_a_process_outlives_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_SERVERS", 1)
    process = start_python("print('up', flush=True); print(input())", env={"EMAIL_HOST": "a"})
    with running(process):
        wait_for_line(process, "up")
        finish(start_python("", env={"EMAIL_HOST": "b"}))

        assert process.communicate("on") == ("on\n", "")
    assert process.returncode == 0


def test_a_server_that_cannot_load_is_an_error() -> None:
    with pytest.raises(ServerEndedError):
        start_forked("-c", "", preload=["not_there"])


START_AND_WAIT = """
import os
from tests.zygote.client import Servers
process = Servers(os.environ).start(["-c", "input()"], os.environ, preload=["tests.zygote.setup"])
print(process.pid, flush=True)
input()
"""


@pytest.mark.long("test_servers_are_shared_by_the_tests")
def test_servers_end_with_a_killed_client() -> None:
    client = start_command(sys.executable, "-c", START_AND_WAIT)
    with running(client):
        assert client.stdout is not None
        assert psutil.pid_exists(int(client.stdout.readline()))
        left = psutil.Process(client.pid).children(recursive=True)
        # Two servers and a process, and a keeper of all but the first.
        assert len(left) == 5

        client.kill()

        assert psutil.wait_procs(left, timeout=60)[1] == []


def test_servers_are_shared_by_the_tests() -> None:
    asked = environment()

    assert servers() is servers()
    first, second = (servers()._line_to(asked, DJANGO) for _ in range(2))
    assert first is second
