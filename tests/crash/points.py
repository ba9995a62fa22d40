"""Kill points: named moments of a worker, seen from outside of the product's code.

No product code knows about them, and they name no function of it. The database says through
triggers what a statement has written, the driver says when it commits, and the SMTP client of the
standard library says how far a mail is. So a point survives when the code behind it is rewritten,
and a point that is never reached is an error of the program that asked for it.
"""

import smtplib
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

TOLD = "nudgelab: "
# A word for what a row's change is: of a delivery, of the event log, of a pending opt-out.
TRIGGERS = """
CREATE OR REPLACE FUNCTION crash_tell() RETURNS trigger LANGUAGE plpgsql AS $tell$
DECLARE
    word text := TG_ARGV[0];
BEGIN
    IF word = 'move' THEN
        word := CASE
            WHEN NEW.state = 'claimed' THEN 'claim'
            WHEN NEW.state = 'handed_off' THEN 'record'
            WHEN NEW.state = 'in_doubt' AND NEW.reason = 'lease_expired' THEN 'doubt'
            WHEN OLD.state = 'claimed' THEN 'answer'
            ELSE 'decision'
        END;
    END IF;
    RAISE NOTICE 'nudgelab: %', word;
    RETURN NULL;
END $tell$;
CREATE OR REPLACE TRIGGER crash_tell AFTER INSERT ON interventions_delivery
    FOR EACH ROW EXECUTE FUNCTION crash_tell('plan');
CREATE OR REPLACE TRIGGER crash_tell_move AFTER UPDATE OF state ON interventions_delivery
    FOR EACH ROW EXECUTE FUNCTION crash_tell('move');
CREATE OR REPLACE TRIGGER crash_tell AFTER INSERT ON activity_event
    FOR EACH ROW WHEN (NEW.verb = 'EMAIL_SENT') EXECUTE FUNCTION crash_tell('event');
CREATE OR REPLACE TRIGGER crash_tell AFTER DELETE ON activity_pendingno
    FOR EACH ROW EXECUTE FUNCTION crash_tell('no');
"""
REMOVED = """
DROP TRIGGER crash_tell ON interventions_delivery;
DROP TRIGGER crash_tell_move ON interventions_delivery;
DROP TRIGGER crash_tell ON activity_event;
DROP TRIGGER crash_tell ON activity_pendingno;
DROP FUNCTION crash_tell();
"""

# Between planning and recording, in the order in which one message passes them.
OF_THE_DATABASE = (
    "plan written",
    "plan committed",
    "no written",
    "no committed",
    "decision written",
    "claim written",
    "claim committed",
)
OF_THE_MAIL = (
    "before connect",
    "before MAIL",
    "before RCPT",
    "before DATA",
    "before body",
    "half of the body",
    "after the dot",
    "after 250",
)
OF_THE_RECORD = ("event written", "record written", "record committed")
OF_RECOVERY = ("doubt written", "doubt committed")
STATEMENT, COMMAND = "statement", "SMTP command"

_COMMANDS = {b"mail": "MAIL", b"rcpt": "RCPT", b"data": "DATA"}
_END = b"\r\n.\r\n"


class Watch:
    """Counts what happens in this process, and acts at the n-th time that a point is reached."""

    def __init__(self, point: str, nth: int, act: Callable[[], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._point, self._nth, self._act = point, nth, act
        self._lock = threading.Lock()
        # What the open transaction has written and not committed yet.
        self._written: list[str] = []

    def happen(self, name: str) -> None:
        """Note that the point is reached, and act if it is the one."""
        with self._lock:
            self.counts[name] += 1
            is_it = name == self._point and self.counts[name] == self._nth
        if is_it:
            self._act()

    def install(self) -> None:
        """Watch the database and the SMTP client of this process until it ends."""
        connection.execute_wrappers.append(self._execute)
        connection_created.connect(self._listen, weak=False)
        commit = BaseDatabaseWrapper._commit

        def committed(wrapper: BaseDatabaseWrapper) -> Any:
            commit(wrapper)
            self._has_committed()

        BaseDatabaseWrapper._commit = committed
        self._watch_smtp()

    def _listen(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        # A connection that was lost has lost what it had not committed.
        self._written.clear()
        connection.connection.add_notice_handler(self._hear)

    def _hear(self, notice: Any) -> None:
        words = notice.message_primary or ""
        if words.startswith(TOLD):
            self._written.append(words.removeprefix(TOLD))

    def _execute(self, execute: Callable[..., Any], *given: Any) -> Any:
        self.happen(STATEMENT)
        before = len(self._written)
        try:
            return execute(*given)
        finally:
            for word in dict.fromkeys(self._written[before:]):
                self.happen(f"{word} written")
            if not connection.in_atomic_block:
                self._has_committed()

    def _has_committed(self) -> None:
        written, self._written = self._written, []
        for word in dict.fromkeys(written):
            self.happen(f"{word} committed")

    def _watch_smtp(self) -> None:
        happen = self.happen
        connect, send, getreply = smtplib.SMTP.connect, smtplib.SMTP.send, smtplib.SMTP.getreply

        def connecting(client: Any, *args: Any, **kwargs: Any) -> Any:
            happen("before connect")
            return connect(client, *args, **kwargs)

        def sending(client: Any, given: str | bytes) -> None:
            sent = given.encode("ascii") if isinstance(given, str) else given
            happen(COMMAND)
            client.crash_ended = sent.endswith(_END) or sent == b".\r\n"
            if sent == b".\r\n" or sent[:4].lower() in _COMMANDS:
                happen(f"before {_COMMANDS.get(sent[:4].lower(), 'the dot')}")
                send(client, sent)
            elif len(sent) > 200:
                happen("before body")
                send(client, sent[: len(sent) // 2])
                happen("half of the body")
                send(client, sent[len(sent) // 2 :])
            else:
                send(client, sent)
            if client.crash_ended:
                happen("after the dot")

        def replied(client: Any) -> Any:
            reply = getreply(client)
            if getattr(client, "crash_ended", False) and reply[0] == 250:
                client.crash_ended = False
                happen("after 250")
            return reply

        smtplib.SMTP.connect, smtplib.SMTP.send = connecting, sending
        smtplib.SMTP.getreply = replied
