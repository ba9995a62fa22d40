"""Record answers also while the database restarts: nothing else knows them."""

import logging
import time
from collections.abc import Sequence

from django.db import connection

from common.clock import Clock
from common.database import is_outage
from interventions.operations.finish import Done, finish_deliveries

# The pauses between attempts to record, in seconds. The first is 0 for a deadlock. They add up to
# about a minute, the time of a database restart. The lease has ten minutes left at a hand-off.
PAUSES_TO_RECORD = (0, 0.5, 1, 2, 4, 8, 15, 30)

log = logging.getLogger(__name__)


def record_answers(done: Sequence[Done], *, clock: Clock) -> list[str | None]:
    """Finish the deliveries. Retry if the database restarts: else they would be in doubt.

    Return the new states, or None where the claim was lost or the answer cannot be recorded.
    """
    for pause in PAUSES_TO_RECORD:
        try:
            return finish_deliveries(done, now=clock())
        except Exception as error:
            if not is_outage(error):
                return _record_singly(done, error, clock)
            log.warning("%d deliveries: tried to record again", len(done), exc_info=True)
            connection.close_if_unusable_or_obsolete()
        # Only here may a worker sleep: the answers of the other side exist only in this process,
        # and no later beat could read them from the database.
        time.sleep(pause)
    return finish_deliveries(done, now=clock())


def _record_singly(done: Sequence[Done], error: Exception, clock: Clock) -> list[str | None]:
    """Record one answer after the other, so that only the failing one stays without a record."""
    if len(done) == 1:
        log.error("Delivery %s is not recorded", done[0].claim.delivery.pk, exc_info=error)
        return [None]
    return [state for each in done for state in record_answers([each], clock=clock)]
