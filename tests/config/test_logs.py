"""No log of any logger contains the token of a learner's page."""

import logging
import socket
import sys
import urllib.error
import urllib.request
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest

from common.masking import mask_links
from interventions.render.links import LinkOwner, make_token
from tests.interventions.test_kept_noes import answers
from tests.processes import SECONDS_TO_FINISH, free_port, running, start_command, wait_until

TOKEN = make_token(LinkOwner(7, 11, UUID(int=3)))
SIGNATURE = TOKEN.rpartition(":")[2]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"GET /unsubscribe/{TOKEN}/ HTTP/1.1", "GET /unsubscribe/[hidden]/ HTTP/1.1"),
        (f"https://e.org/preferences/{TOKEN}", "https://e.org/preferences/[hidden]"),
        ("/unsubscribe/cut-off/?page", "/unsubscribe/[hidden]/?page"),
        (f"/other/{TOKEN}/", "/other/[hidden]/"),
        (f"token={TOKEN.replace(':', '%3A')}&x=1", "token=[hidden]&x=1"),
        ("/unsubscribe/ and preferences", "/unsubscribe/ and preferences"),
        ("2026-11-29T08:00:00+00:00 nothing:here", "2026-11-29T08:00:00+00:00 nothing:here"),
    ],
)
def test_only_the_token_of_a_link_is_masked(text: str, masked: str) -> None:
    assert mask_links(text) == masked


def fail() -> None:
    raise ValueError(f"no such page: /unsubscribe/{TOKEN}/")


@pytest.mark.parametrize("name", ["", "django.request", "django.server", "celery.task", "other"])
def test_any_handler_gets_records_without_the_token(name: str) -> None:
    written = StringIO()
    logger, handler = logging.getLogger(name), logging.StreamHandler(written)
    logger.addHandler(handler)
    try:
        logger.error("Not found: /preferences/%s/", TOKEN)
        logger.error(f"Not found: /preferences/{TOKEN}/")  # noqa: G004
        logger.error("%(path)s", {"path": f"/preferences/{TOKEN}/"}, stack_info=True)
        logger.error("%d", f"/preferences/{TOKEN}/")
        try:
            fail()
        except ValueError:
            logger.exception("failed with %s", 5)
    finally:
        logger.removeHandler(handler)

    assert SIGNATURE not in written.getvalue()
    assert written.getvalue().count("/preferences/[hidden]/") >= 4
    assert "failed with 5" in written.getvalue()
    assert "no such page: /unsubscribe/[hidden]/" in written.getvalue()


@pytest.mark.long("test_any_handler_gets_records_without_the_token")
@pytest.mark.slow
def test_a_web_server_at_debug_level_logs_no_token(tmp_path: Path) -> None:
    port = free_port()
    # The database port is bound but does not answer, so every request fails and is logged.
    nothing = socket.socket()
    nothing.bind(("127.0.0.1", 0))
    env = {
        "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{nothing.getsockname()[1]}/none",
        "LOG_LEVEL": "DEBUG",
        "KEPT_NOES_DIR": str(tmp_path / "noes"),
    }
    web = (sys.executable, "-m", "gunicorn", "config.wsgi:application", "--no-control-socket")
    options = (
        "--bind",
        f"127.0.0.1:{port}",
        "--access-logfile",
        "-",
        "--log-level",
        "debug",
        "--threads",
        "2",
    )
    log = tmp_path / "log"
    with nothing, log.open("w") as out:
        server = start_command(*web, *options, env=env, log=out)
        with running(server):
            assert wait_until(lambda: answers(port)), log.read_text()
            paths = [f"/{page}/{TOKEN}{end}" for page in ("unsubscribe", "preferences")
                     for end in ("/", "", "x/", "/more/")]  # fmt: skip
            statuses = [visit(port, path, data) for path in paths for data in (None, b"x")]
            server.terminate()
            server.wait(SECONDS_TO_FINISH)

    assert {200, 404, 503} <= set(statuses)
    said = log.read_text()
    # The log has the access lines and the server's own error messages.
    assert "GET /unsubscribe/[hidden]/" in said
    assert "Service Unavailable: /preferences/[hidden]/" in said
    assert SIGNATURE not in said


def visit(port: int, path: str, data: bytes | None) -> int:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}{path}", data, timeout=SECONDS_TO_FINISH
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
