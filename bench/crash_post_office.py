"""Kill django-post_office while it sends, and print as JSON what the mail server got.

bench.crash runs this file with the Python of a temporary environment, where django-post_office is
installed. Of Nudgelab it uses only the kill points and the mail server of the tests, which need
nothing but Django.

    python bench/crash_post_office.py POINT:NTH ...
"""

import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

AT = urlsplit(os.environ["DATABASE_URL"])

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": AT.path[1:],
            "USER": AT.username,
            "HOST": parse_qs(AT.query)["host"][0],
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    EMAIL_HOST="127.0.0.1",
    EMAIL_TIMEOUT=20,
    USE_TZ=True,
    # The settings of its documentation: its backend keeps mails, and this one sends them.
    EMAIL_BACKEND="post_office.EmailBackend",
    POST_OFFICE={"BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
    LOGGING_CONFIG=None,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from post_office import mail  # noqa: E402
from post_office.models import STATUS, Email  # noqa: E402

from tests.crash.points import Watch  # noqa: E402
from tests.faulty_smtp import FaultySmtp, serve  # noqa: E402
from tests.processes import wait_until  # noqa: E402

# As many as Nudgelab sends in one round of its crash test.
MAILS = 13
BEATS_AFTER = 3


def main() -> int:
    """Play each round and print its numbers."""
    call_command("migrate", verbosity=0)
    rounds = [each.rpartition(":") for each in sys.argv[1:]]
    print(json.dumps([_round(point, int(nth)) for point, _, nth in rounds]))
    return 0


def _round(point: str, nth: int) -> dict[str, str | int]:
    Email.objects.all().delete()
    for number in range(MAILS):
        mail.send(f"l{number}@example.org", "me@example.org", subject="Next", message="Go on " * 60)
    with serve(FaultySmtp()) as sink:
        settings.EMAIL_PORT = sink.port
        status = _forked(lambda: Watch(point, nth, _die).install())
        for _ in range(BEATS_AFTER):
            _forked(lambda: None)
        assert wait_until(lambda: not sink.talking, seconds=30)
    got = Counter(recipient for recipient, _ in sink.accepted)
    return {
        "point": point,
        "killed": int(os.WIFSIGNALED(status)),
        "messages": MAILS,
        "mails": sum(got.values()),
        "twice": sum(number - 1 for number in got.values()),
        "lost": sum(not got[f"l{number}@example.org"] for number in range(MAILS)),
        "left": Email.objects.exclude(status=STATUS.sent).count(),
    }


def _forked(prepare: Callable[[], None]) -> int:
    """Send what is queued in a process of its own, as the command of the documentation does."""
    connection.close()
    child = os.fork()
    if child == 0:
        prepare()
        with tempfile.TemporaryDirectory() as folder:
            call_command("send_queued_mail", lockfile=f"{folder}/lock")
        os._exit(0)
    return os.waitpid(child, 0)[1]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
