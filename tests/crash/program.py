"""`make crash-test`: kill workers at every point and at random, and show the fate of each message.

    python -m tests.crash [--kills 240] [--seed 1] [--only WORD]

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
from tests.crash.matrix import Cell, all_cells
from tests.crash.rounds import count_points
from tests.crash.verdict import Verdict
from tests.crash.world import make_site

KILLS = 240
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
    counts, seconds = count_points(site)
    chance = random.Random(options.seed)
    cells = [
        each for each in all_cells(site, counts, seconds, chance) if options.only in each.point
    ]
    table = dict(_run(cells, options.kills, chance))
    print("\n".join(_lines(table)))
    total = sum(table.values(), Verdict())
    print(f"\n{total.kills} kills, {total.faults} broken promises (seed {options.seed})")
    return 0 if total.faults == 0 else 1


def _run(
    cells: list[Cell], kills: int, chance: random.Random
) -> Iterator[tuple[tuple[str, str], Verdict]]:
    """Run all rounds, then random ones until there are so many kills. Yield a verdict a cell."""
    found = {(cell.point, cell.fault): Verdict() for cell in cells}
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
    yield from found.items()


def _lines(table: dict[tuple[str, str], Verdict]) -> Iterator[str]:
    heads = ["the worker is killed", "mail server or database", *COLUMNS.values()]
    yield f"| {' | '.join(heads)} |"
    yield f"| --- | --- |{' ---: |' * len(COLUMNS)}"
    rows = [*table.items(), (("all", ""), sum(table.values(), Verdict()))]
    for (point, fault), verdict in rows:
        numbers = (str(getattr(verdict, name)) for name in COLUMNS)
        yield f"| {point} | {fault} | {' | '.join(numbers)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="at least so many")
    parser.add_argument("--seed", type=int, default=1, help="of what is random")
    parser.add_argument("--only", default="", help="only points with this in their name")
    return parser.parse_args()
