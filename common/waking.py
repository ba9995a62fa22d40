"""Wake a stage as soon as there is work for it. A wake may be lost: the next beat does the same."""

from functools import partial

from django.db import connection, transaction

CHANNEL = "nudgelab_work"


def wake(stage: str) -> None:
    """Let the beat send the stage's task now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, stage])


def wake_after_commit(stage: str) -> None:
    """Wake the stage when the transaction has ended. Nothing happens if it is rolled back."""
    # Not as a part of the transaction: only one with a notification can commit at a time, and all
    # others would wait while it is written to the disk.
    transaction.on_commit(partial(wake, stage), robust=True)
