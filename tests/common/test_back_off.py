from datetime import timedelta

import pytest
from django.db import connection

from common.back_off import BackOff

HALF_MINUTE = BackOff(timedelta(seconds=30), timedelta(hours=1))
FOURFOLD = BackOff(timedelta(minutes=1), timedelta(hours=1), factor=4)


def test_delay_doubles_up_to_the_longest() -> None:
    waits = [HALF_MINUTE.after(failures).total_seconds() for failures in (1, 2, 3, 7, 8, 9, 10**9)]
    assert waits == [30, 60, 120, 1920, 3600, 3600, 3600]


def test_delay_grows_by_its_factor() -> None:
    assert [FOURFOLD.after(failures).total_seconds() for failures in range(5)] == [
        60, 60, 240, 960, 3600,
    ]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("back_off", [HALF_MINUTE, FOURFOLD])
def test_sql_gives_the_same_delay(back_off: BackOff) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {back_off.sql('earlier')} FROM generate_series(0, 40) AS s (earlier)"
        )
        in_sql = [wait for (wait,) in cursor.fetchall()]

    assert in_sql == [back_off.after(earlier + 1) for earlier in range(41)]
