"""A sample of `make crash-test`: workers that die at a few of its points."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.crash import points
from tests.crash.contention import contend
from tests.crash.rounds import DROPS, FEW, HANGS, MissedError, kill_at, kill_while_it_hangs
from tests.crash.world import Site, make_site
from tests.long import longer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def site() -> Iterator[Site]:
    with connection.cursor() as cursor:
        cursor.execute(points.TRIGGERS)
    yield make_site()
    with connection.cursor() as cursor:
        cursor.execute(points.REMOVED)


@pytest.mark.parametrize(
    "point",
    [
        "claim committed",
        "after the dot",
        *longer(
            "test_a_worker_killed_at_a_point_sends_nothing_twice_and_loses_nothing",
            "plan committed",
            "after 250",
            "record committed",
        ),
    ],
)
def test_a_worker_killed_at_a_point_sends_nothing_twice_and_loses_nothing(
    site: Site, point: str
) -> None:
    verdict = kill_at(site, point)

    assert verdict.faults == 0, verdict
    assert (verdict.kills, verdict.messages) == (1, 13)


@pytest.mark.long("test_a_worker_killed_at_a_point_sends_nothing_twice_and_loses_nothing")
def test_a_worker_killed_when_it_records_and_claims_leaves_one_turn_in_doubt(site: Site) -> None:
    verdict = kill_at(site, "record committed", nth=2)

    assert verdict.faults == 0, verdict
    # The claims of the next turn were committed with the record, and nobody has sent them.
    assert (verdict.in_doubt, verdict.in_doubt_taken) == (FEW, 0)


def test_a_worker_killed_while_the_mail_server_hangs_breaks_no_promise(site: Site) -> None:
    verdict = kill_while_it_hangs(site, HANGS[-1])

    assert verdict.faults == 0, verdict
    assert verdict.in_doubt_taken >= 1


@pytest.mark.long("test_a_worker_killed_at_a_point_sends_nothing_twice_and_loses_nothing")
def test_a_worker_killed_after_a_lost_answer_breaks_no_promise(site: Site) -> None:
    assert kill_at(site, "answer committed", fault=DROPS[1]).faults == 0


@pytest.mark.long("test_a_worker_killed_at_a_point_sends_nothing_twice_and_loses_nothing")
def test_a_point_that_is_never_reached_is_an_error_and_leaves_the_next_round_alone(
    site: Site,
) -> None:
    with pytest.raises(MissedError, match="no such point"):
        kill_at(site, "no such point")

    assert kill_at(site, "after 250").faults == 0


@pytest.mark.parametrize(
    ("learners", "workers"),
    [
        (20, 3),
        *longer("test_workers_at_once_break_no_cap_and_send_the_most_important_first", (60, 4)),
    ],
)
def test_workers_at_once_break_no_cap_and_send_the_most_important_first(
    learners: int, workers: int
) -> None:
    found = contend(learners=learners, workers=workers)

    assert found.broken == 0, found
    # Each tenth learner shares a mailbox with another. One in twenty says no, some before their
    # first mail.
    most = learners - learners // 10
    assert most - learners // 20 <= found.mailboxes <= most
    assert found.urgent_late <= found.mailboxes / 4
