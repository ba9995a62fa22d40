"""`make crash-test`: kill workers at every point and at random, and show the fate of each message.

    python -m tests.crash [--kills 200] [--seed 1] [--only WORD]

It starts a PostgreSQL of its own in a temporary folder, shows its progress, prints a table, and
returns 1 if a message was sent twice, lost, over a cap or after a no.
"""

import argparse
import random
import sys
from collections.abc import Iterator

from django.core.management import call_command
from django.db import connection
from tqdm import tqdm

from tests.crash import points
from tests.crash.contention import Contention, contend
from tests.crash.matrix import Cell, all_cells
from tests.crash.rounds import count_points
from tests.crash.verdict import Verdict
from tests.crash.world import make_site

KILLS = 200
WORKERS = 8
COLUMNS = {
    "kills": "kills",
    "messages": "messages",
    "handed_off": "handed off",
    "in_doubt": "in doubt",
    "in_doubt_taken": "of those taken by the server",
    "not_sent": "not sent, with reason",
    "duplicates": "twice",
    "lost": "lost",
    "over_cap": "over a cap",
    "after_no": "after a no",
    "contradictions": "ledger wrong",
}


def main() -> int:
    """Run all rounds, print the table, and return 1 if a promise was broken."""
    options = _options()
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(points.TRIGGERS)
    site = make_site()
    counts = count_points(site)
    chance = random.Random(options.seed)
    cells = [each for each in all_cells(site, counts, chance) if options.only in each.point]
    table = {(cell.point, cell.fault): Verdict() for cell in cells}
    try:
        _run(cells, table, options.kills, chance)
    finally:
        # Of a round that cannot end, the error alone would say little.
        print("\n".join(_lines(table)))
    total = sum(table.values(), Verdict())
    print(f"\n{total.kills} kills, {total.faults} broken promises (seed {options.seed})")
    found = contend(learners=options.learners, workers=WORKERS)
    print(_about(found, options.learners))
    return 0 if total.faults + found.broken == 0 else 1


def _run(
    cells: list[Cell], found: dict[tuple[str, str], Verdict], kills: int, chance: random.Random
) -> None:
    """Run all rounds, then random ones until there are so many kills. Add to the verdicts."""
    with tqdm(total=sum(len(cell.rounds) for cell in cells), unit="round", file=sys.stderr) as bar:
        for cell in cells:
            for play in cell.rounds:
                found[cell.point, cell.fault] += play()
                bar.update()
        while sum(each.kills for each in found.values()) < kills:
            cell = chance.choice(
                [each for each in cells if each.rounds and "PostgreSQL" not in each.fault]
            )
            found[cell.point, cell.fault] += chance.choice(cell.rounds)()


def _lines(table: dict[tuple[str, str], Verdict]) -> Iterator[str]:
    heads = ["the worker is killed", "mail server or database", *COLUMNS.values()]
    yield f"| {' | '.join(heads)} |"
    yield f"| --- | --- |{' ---: |' * len(COLUMNS)}"
    rows = [*table.items(), (("all", ""), sum(table.values(), Verdict()))]
    for (point, fault), verdict in rows:
        numbers = (str(getattr(verdict, name)) for name in COLUMNS)
        yield f"| {point} | {fault} | {' | '.join(numbers)} |"


def _about(found: Contention, learners: int) -> str:
    return (
        f"{WORKERS} workers, {learners} learners, {found.mailboxes} mailboxes: "
        f"{found.verdict.handed_off} mails in {found.beats} beats, {found.broken} broken promises "
        f"(twice {found.verdict.duplicates}, lost {found.verdict.lost}, over a cap "
        f"{found.verdict.over_cap}, after a no {found.verdict.after_no}, before a more important "
        f"one {found.outranked}, deadlocks {found.deadlocks}); of the urgent mails of the first "
        f"day {found.urgent_late} came late"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="at least so many")
    parser.add_argument("--learners", type=int, default=2_000, help="of the workers at once")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    parser.add_argument("--only", default="", help="only points with this in their name")
    return parser.parse_args()
