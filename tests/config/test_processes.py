"""Tests of the test helpers, because a helper that always passes would hide every error."""

import json
import os
import signal
import smtplib
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import psutil
import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from config.running import processes as supervised
from tests import processes
from tests.smtp import SmtpSink

COUNT_USERS = """
from django.contrib.auth import get_user_model
print(get_user_model().objects.count())
"""


@pytest.mark.django_db(transaction=True)
def test_process_sees_what_the_test_committed() -> None:
    get_user_model().objects.create_user("ana")

    assert processes.run_python(COUNT_USERS) == "1\n"


@pytest.mark.django_db(transaction=True)
def test_process_on_the_same_database_not_on_the_real_one() -> None:
    name = processes.run_python("""
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT current_database()")
    print(cursor.fetchone()[0])
""")

    assert name.strip() == connection.settings_dict["NAME"]
    assert name.startswith("test_")


@pytest.mark.django_db(transaction=True)
def test_a_failing_process_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="ValueError: no"):
        processes.run_python("raise ValueError('no')")


@pytest.mark.django_db(transaction=True)
def test_process_waits_at_its_pause() -> None:
    process = processes.start_python("print('here'); import sys; sys.stdin.readline(); print('on')")

    with processes.running(process):
        processes.wait_for_line(process, "here")
        assert process.poll() is None
        assert processes.finish(process).output == "on\n"


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Hi"
    message.set_content("Well?")
    return message


def send(sink: SmtpSink, *, timeout: float = 5) -> None:
    with smtplib.SMTP(sink.host, sink.port, timeout=timeout) as client:
        client.send_message(letter())


def test_sink_keeps_what_it_accepts(smtp_sink: SmtpSink) -> None:
    send(smtp_sink)

    assert [message["Subject"] for message in smtp_sink.of("b@example.org")] == ["Hi"]


def test_sink_refuses_as_told(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse_recipient = "550 No such user"
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(smtp_sink)
    smtp_sink.refuse_recipient, smtp_sink.refuse_data = None, "451 Try later"
    with pytest.raises(smtplib.SMTPDataError):
        send(smtp_sink)

    assert smtp_sink.messages == []


def test_sink_drops_the_connection_after_it_took_the_message(smtp_sink: SmtpSink) -> None:
    smtp_sink.drop = True

    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(smtp_sink)

    assert len(smtp_sink.messages) == 1


def test_sink_hangs(smtp_sink: SmtpSink) -> None:
    smtp_sink.hang = True

    with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        send(smtp_sink, timeout=0.5)


SUPERVISE = """
import sys
from pathlib import Path
from config.running.processes import Child, run_all
endless = [sys.executable, "-c", "import time; time.sleep(600)"]
short = [sys.executable, "-c", "print('again', flush=True)"]
run_all(
    [Child("endless", endless), Child("short", short)],
    watch=lambda: print("watching", flush=True),
    record=Path(sys.argv[1]),
    address="http://127.0.0.1:8011/",
)
"""


def test_children_are_restarted_and_ended_together(tmp_path: Path) -> None:
    record = tmp_path / "serve.json"
    parent = processes.start_command(sys.executable, "-c", SUPERVISE, str(record))

    with processes.running(parent):
        processes.wait_for_line(parent, "again")
        processes.wait_for_line(parent, "again")
        pid = {row["name"]: row["pid"] for row in supervised.read_record(record)}["endless"]
        parent.send_signal(signal.SIGTERM)
        finished = processes.finish(parent)

    assert finished.status == 0
    assert "The short ended with status 0. It is restarted in 1 s." in finished.errors
    assert not Path(f"/proc/{pid}").exists()
    assert not record.exists()


SUPERVISE_A_SLOW_END = """
import sys
from pathlib import Path
from config.running.processes import Child, run_all
slow = '''
import signal, sys, time
from pathlib import Path
def end(*about):
    time.sleep(0.5)
    Path(sys.argv[1]).write_text("ended in order")
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
'''
run_all(
    [Child("slow", [sys.executable, "-c", slow, sys.argv[2]])],
    watch=lambda: None,
    record=Path(sys.argv[1]),
    seconds_to_end=float(sys.argv[3]),
)
"""


@pytest.mark.parametrize(("seconds", "ends"), [(0.1, False), (30, True)])
def test_a_child_gets_its_time_to_end(seconds: float, ends: bool, tmp_path: Path) -> None:
    record, proof = tmp_path / "serve.json", tmp_path / "proof"
    code = (sys.executable, "-c", SUPERVISE_A_SLOW_END)
    parent = processes.start_command(*code, str(record), str(proof), str(seconds))
    with processes.running(parent):
        processes.wait_for_line(parent, "up")

        assert "serve" in supervised.end_recorded(record)

        assert parent.wait(processes.SECONDS_TO_FINISH) == 0
    assert proof.exists() is ends


def test_children_of_a_killed_parent_are_found_and_ended(tmp_path: Path) -> None:
    record = tmp_path / "serve.json"
    parent = processes.start_command(sys.executable, "-c", SUPERVISE, str(record))
    with processes.running(parent):
        processes.wait_for_line(parent, "again")
        while "endless" not in {row["name"] for row in supervised.read_record(record)}:
            time.sleep(0.05)
        rows = supervised.read_record(record)
        parent.kill()
        parent.wait()

    ended = supervised.end_recorded(record)

    assert "endless" in ended
    assert "serve" not in ended
    assert not any(supervised.same_process(row) for row in rows)


def test_a_second_start_is_refused_and_leaves_the_record_of_the_first(tmp_path: Path) -> None:
    record = tmp_path / "serve.json"
    first = processes.start_command(sys.executable, "-c", SUPERVISE, str(record))
    with processes.running(first):
        processes.wait_for_line(first, "again")
        # A file, not a pipe: if the second start is not refused, its children keep a pipe open.
        with (tmp_path / "log").open("w+") as log:
            second = processes.start_command(sys.executable, "-c", SUPERVISE, str(record), log=log)
            with processes.running(second):
                assert second.wait(processes.SECONDS_TO_FINISH) == 1
        said = (tmp_path / "log").read_text()

        assert "at http://127.0.0.1:8011/: serve (process " in said
        assert "End it with make stop" in said
        assert supervised.read_record(record)[0]["pid"] == first.pid
        assert "serve" in supervised.end_recorded(record)
        assert processes.finish(first).status == 0


def test_a_process_removes_only_its_own_record(tmp_path: Path) -> None:
    record = tmp_path / "serve.json"
    # Without a child that ends: each restart would write the record again, over the stranger's.
    code = SUPERVISE.replace(', Child("short", short)', "")
    parent = processes.start_command(sys.executable, "-c", code, str(record))
    with processes.running(parent):
        # The children are started and recorded between the first and the second look.
        processes.wait_for_line(parent, "watching")
        processes.wait_for_line(parent, "watching")
        assert "short" not in record.read_text()
        strangers = json.dumps([{"name": "serve", "pid": 1, "created": 0.0}])
        record.write_text(strangers)
        parent.send_signal(signal.SIGTERM)
        processes.finish(parent)

    assert record.read_text() == strangers


def test_processes_of_a_killed_parent_are_named_before_a_new_start(tmp_path: Path) -> None:
    record = tmp_path / "serve.json"
    me = {"pid": os.getpid(), "created": psutil.Process().create_time()}
    gone = {"name": "serve", "pid": me["pid"], "created": 1.0}
    record.write_text(json.dumps([gone, {"name": "beat", **me}]))

    said = rf"^An earlier start .* beat \(process {me['pid']}\)\. End it with make stop"
    with pytest.raises(supervised.AlreadyRunningError, match=said):
        supervised.refuse_second(record)

    record.write_text(json.dumps([gone]))
    supervised.refuse_second(record)
