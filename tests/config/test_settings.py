import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from config.env import SettingsError
from config.mail_webhooks import anymail_settings, webhook_views
from interventions.render.links import LinkOwner, make_token
from tests.processes import SECONDS_TO_FINISH, Finished, run_alone

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": "test-only-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
    "ALLOWED_HOSTS": "courses.example.org",
    "DATABASE_URL": "postgresql://nobody@localhost:1/none",
    "REDIS_URL": "redis://localhost:1/0",
    "BASE_URL": "https://courses.example.org",
    "DEFAULT_FROM_EMAIL": "Courses <courses@example.org>",
    "POSTAL_ADDRESS": "Example College, 1 Main Street, Exampletown",
}
REQUIRED = sorted(PRODUCTION.keys() - {"DJANGO_SETTINGS_MODULE"})


def manage(*arguments: str, **environment: str) -> Finished:
    return run_alone("manage.py", *arguments, **environment)


def python(code: str, **environment: str) -> Finished:
    return run_alone("-c", code, **environment)


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a process that has loaded nothing before."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_TO_FINISH,
    )


def test_production_starts_and_passes_the_deployment_check() -> None:
    check = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")

    result = started(*check, **PRODUCTION)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("missing", REQUIRED)
@pytest.mark.sampled(3)
def test_production_does_not_start_without(missing: str) -> None:
    environment = {name: value for name, value in PRODUCTION.items() if name != missing}

    result = manage("check", **environment)

    assert result.status == 2
    assert result.errors == (
        f"Nudgelab cannot start. {missing} is not set. "
        "Set this environment variable and start again.\n"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BASE_URL", "http://courses.example.org"),
        ("BASE_URL", "https://ana:secret@courses.example.org"),
        ("BASE_URL", "https://www.example.org"),
        ("SECRET_KEY", "short"),
        ("ALLOWED_HOSTS", "*"),
        ("SECURE_HSTS_SECONDS", "soon"),
    ],
)
def test_production_refuses_an_unsafe_value(variable: str, value: str) -> None:
    result = manage("check", **PRODUCTION | {variable: value})

    assert result.status == 2
    assert result.errors.startswith(f"Nudgelab cannot start. {variable} is ")
    assert result.errors.count("\n") == 1


def test_help_needs_no_server_and_no_setting() -> None:
    for arguments in ([], ["demo", "--help"]):
        result = manage(*arguments)

        assert (result.status, result.errors) == (0, ""), result.errors
        assert "usage: " in result.output or "Available subcommands" in result.output


def test_a_file_is_read_without_servers_settings_or_apps(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.csv", tmp_path / "draws.csv"
    path.write_text("id,arm,done\n1,a,1\n2,b,0\n")
    commands = (
        ("analyze_csv", str(path), "--arm", "arm", "--control", "a", "--metric", "done"),
        ("draw_arms", str(path), "--seed", "s", "--weights", "a=0.5,b=0.5", "--out", str(out)),
        ("plan_sample", "--baseline", "0.5", "--lift", "0.3"),
    )
    for command in commands:
        # Production needs settings, but file commands need none.
        imported = manage_imports(*command, DJANGO_SETTINGS_MODULE="config.settings.production")
        assert "experiments.management.commands" in imported
        assert not {"config.embedded", "experiments.models", "psycopg"} & imported


def manage_imports(*arguments: str, **environment: str) -> set[str]:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['manage.py', *{arguments!r}]\n"
        "runpy.run_path('manage.py', run_name='__main__')\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    result = started("-c", code, **environment)
    assert result.returncode == 0, result.stderr
    return set(result.stderr.split())


# With any other status gunicorn would restart the web server again and again.
STATUS = [("config.wsgi", 3), ("config.celery", 2)]


@pytest.mark.parametrize(("module", "status"), STATUS)
def test_web_server_and_worker_stop_with_the_same_sentence(module: str, status: int) -> None:
    result = python(f"import {module}", **PRODUCTION | {"SECRET_KEY": ""})

    assert (result.status, result.errors.count("\n")) == (status, 1)
    assert "SECRET_KEY is not set" in result.errors


@pytest.mark.parametrize(("module", "status"), STATUS)
def test_web_server_and_worker_use_production_settings_by_default(module: str, status: int) -> None:
    given = {name: PRODUCTION[name] for name in ("DATABASE_URL", "REDIS_URL")}

    result = python(f"import {module}", **given)

    assert (result.status, result.errors.count("\n")) == (status, 1)
    assert "is not set" in result.errors


def test_command_line_is_local_and_passes_its_settings_to_its_children() -> None:
    given = {name: PRODUCTION[name] for name in ("DATABASE_URL", "REDIS_URL")}

    code = "import os; print(os.environ['DJANGO_SETTINGS_MODULE'])"
    result = manage("shell", "--no-imports", "-c", code, **given)

    assert (result.status, result.output) == (0, "config.settings.local\n"), result.errors


OPEN_UNSUBSCRIBE_PAGE = """
import re
from config.wsgi import application
from django.test import Client
client = Client(headers={"host": "courses.example.org"})
page = client.get("/unsubscribe/made-up/", secure=True)
print(page.status_code)
for path in re.findall('(?:href|src)="(/static/[^"]+)"', page.content.decode()):
    print(client.get(path, secure=True).status_code)
"""


def test_unsubscribe_page_and_its_styles_work_without_preparation() -> None:
    result = python(OPEN_UNSUBSCRIBE_PAGE, **PRODUCTION)

    assert result.status == 0, result.errors
    page, *looks = result.output.split()
    assert page == "404"
    assert len(looks) >= 2
    assert set(looks) == {"200"}


READ_TOKEN = """
import django; django.setup()
from interventions.render.links import read_token
print(read_token({token!r}) is not None)
"""


def test_links_in_mails_work_after_a_new_secret_key(settings) -> None:
    old = settings.SECRET_KEY = PRODUCTION["SECRET_KEY"]
    token = make_token(LinkOwner(1, 2, UUID(int=3)))
    renewed = PRODUCTION | {"SECRET_KEY": old[::-1]}

    read = READ_TOKEN.format(token=token)
    assert python(read, **renewed).output == "False\n"
    assert python(read, **renewed, SECRET_KEY_FALLBACKS=f"another, {old}").output == "True\n"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EMAIL_WEBHOOKS": "postmark"}, "ANYMAIL_WEBHOOK_SECRET is not set"),
        ({"EMAIL_WEBHOOKS": "mailgun"}, "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY is not set"),
        ({"EMAIL_WEBHOOKS": "pigeon"}, "EMAIL_WEBHOOKS names 'pigeon'. It knows"),
        (
            {"EMAIL_WEBHOOKS": "brevo", "ANYMAIL_WEBHOOK_SECRET": "hook:short"},
            "a password of 20 or more characters",
        ),
    ],
)
def test_provider_that_reports_needs_its_secret(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as error:
        webhook_views(environment["EMAIL_WEBHOOKS"].split(","))

    assert said in str(error.value)


def test_settings_of_anymail_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYMAIL_POSTMARK_SERVER_TOKEN", "1234")
    monkeypatch.setenv("ANYMAIL_IGNORE_RECIPIENT_STATUS", "no")
    monkeypatch.setenv("ANYMAIL_WEBHOOK_SECRET", "hook:0123456789-0123456789")

    assert anymail_settings() == {
        "POSTMARK_SERVER_TOKEN": "1234",
        "IGNORE_RECIPIENT_STATUS": False,
        "WEBHOOK_SECRET": "hook:0123456789-0123456789",
    }
    assert webhook_views(["postmark", "resend"]).keys() == {"postmark", "resend"}
