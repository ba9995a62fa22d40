#!/usr/bin/env bash
# django-post_office 3.12.0 with Django 5.2.19: send_queued_mail writes that mails were sent once, after
# the last mail of its batch (100 by default). Of 10 queued mails, the process is killed when the
# server has taken 4: the table still says "queued" for all 10, and the next run sends the 4 again.
# With BATCH_SIZE 1 three are written, and only the one that was under way goes out twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  django==5.2.19 django-post_office==3.12.0 aiosmtpd==1.4.6
cat > "$folder/office.py" <<'PY'
import os
import sys

import django
from django.conf import settings

folder, port, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/{batch}.db"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=port,
    USE_TZ=True,
    POST_OFFICE={
        "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
        "BATCH_SIZE": batch,
        "THREADS_PER_PROCESS": 1,
    },
)
django.setup()

from django.core.management import call_command
from post_office import mail
from post_office.models import STATUS, Email

if sys.argv[4] == "queue":
    call_command("migrate", verbosity=0)
    for number in range(10):
        mail.send(f"learner-{number}@example.org", "course@example.org", message="Hello")
elif sys.argv[4] == "sent":
    print(Email.objects.filter(status=STATUS.sent).count())
else:
    call_command("send_queued_mail", lockfile=f"{folder}/{os.getpid()}.lock")
PY
"$folder/venv/bin/python" -W ignore - "$folder" <<'PY'
import os
import signal
import socket
import subprocess
import sys
from collections import Counter

from aiosmtpd.controller import Controller

folder = sys.argv[1]
taken, sender = [], None


class Server:
    async def handle_DATA(self, server, session, envelope):
        taken.append(envelope.rcpt_tos[0])
        if sender is not None and len(taken) == 4:
            os.kill(sender.pid, signal.SIGKILL)
        return "250 taken"


def office(batch, what):
    command = [sys.executable, f"{folder}/office.py", folder, str(server.port), str(batch), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = Controller(Server(), hostname="127.0.0.1", port=port)
server.start()
found = {}
for batch in (100, 1):
    taken.clear()
    office(batch, "queue").wait()
    sender = office(batch, "send")
    assert sender.wait() == -signal.SIGKILL
    sender, noted = None, int(office(batch, "sent").communicate()[0])
    while office(batch, "send").wait() == 0 and len(set(taken)) < 10:
        pass
    twice = sum(number - 1 for number in Counter(taken).values())
    found[batch] = noted, twice
    print(f"BATCH_SIZE {batch}: killed after 4 mails, noted as sent {noted}, sent twice {twice}")
server.stop()
assert found == {100: (0, 4), 1: (3, 1)}, found
PY
