"""Check the database and the broker, which may hang, and find faults."""

import logging

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from common.clock import Clock, utc_now
from config.health.faults import (
    MOST_SECONDS_SINCE_A_RUN,
    NO_BROKER,
    NO_DATABASE,
    OTHER_SCHEMA,
    SLOW_DATABASE,
    Fault,
    Health,
    faults_of,
    remarks_of,
)
from config.health.reading import Reading, read
from config.running import connection_faults
from config.running.probes import Answer, Probe

SECONDS_TO_ANSWER = 4.0
MILLISECONDS_A_STATEMENT = 3000

log = logging.getLogger(__name__)
_database, _broker = Probe(), Probe()


def health(*, clock: Clock = utc_now, most_seconds: float = MOST_SECONDS_SINCE_A_RUN) -> Health:
    """Return the health of the installation, within a few seconds even if a part hangs.

    A stage without a successful run for `most_seconds` is a fault.
    """
    # Both are checked at the same time, so the check takes only as long as the slower one.
    broker = _broker.begin(_ask_broker)
    reading = _reading(_database.begin(lambda: _read_in_time(clock)))
    faults = _faults_of_broker(broker)
    if isinstance(reading, Fault):
        return Health((reading, *faults))
    found = (*faults, *faults_of(reading, most_seconds=most_seconds))
    return Health(found, tuple(remarks_of(reading)), reading)


def _reading(answer: Answer[Reading]) -> Reading | Fault:
    try:
        return answer.within(SECONDS_TO_ANSWER)
    except TimeoutError:
        log.warning("The database gave no answer within %s s", SECONDS_TO_ANSWER)
        return NO_DATABASE
    except (DatabaseError, InterfaceError) as error:
        said = isinstance(error, OperationalError) and connection_faults.database_fault(
            error, settings.DATABASES["default"]
        )
        log.warning("The state of the work cannot be read: %s", said or type(error).__name__)
        return _fault_of(error)


def _fault_of(error: DatabaseError | InterfaceError) -> Fault:
    if isinstance(error, ProgrammingError):
        return OTHER_SCHEMA
    is_from_within = getattr(error.__cause__, "sqlstate", None) is not None
    return SLOW_DATABASE if is_from_within else NO_DATABASE


def _faults_of_broker(answer: Answer[str]) -> tuple[Fault, ...]:
    try:
        said = answer.within(SECONDS_TO_ANSWER)
    except TimeoutError:
        said = "no answer within the time limit"
    if said:
        log.warning("The broker is down: %s", said)
    return (NO_BROKER,) if said else ()


def _read_in_time(clock: Clock) -> Reading:
    # Called in its own thread, so it uses its own connection.
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {MILLISECONDS_A_STATEMENT}")
            return read(clock=clock)
    finally:
        connection.close()


def _ask_broker() -> str:
    return connection_faults.broker_fault(settings.REDIS_URL, seconds=SECONDS_TO_ANSWER / 2)
