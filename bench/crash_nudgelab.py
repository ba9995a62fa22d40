"""Kill the workers of Nudgelab at the named points, and print as JSON what the mail server got.

python bench/crash_nudgelab.py POINT:NTH ...
"""

import json
import sys

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from tests.crash import points  # noqa: E402
from tests.crash.rounds import MissedError, kill_at  # noqa: E402
from tests.crash.verdict import Verdict  # noqa: E402
from tests.crash.world import Site, make_site  # noqa: E402


def main() -> int:
    """Play each round and print its numbers."""
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(points.TRIGGERS)
    site = make_site()
    rounds = [each.rpartition(":") for each in sys.argv[1:]]
    print(json.dumps([_round(site, point, int(nth)) for point, _, nth in rounds]))
    return 0


def _round(site: Site, point: str, nth: int) -> dict[str, str | int]:
    found = _verdict(site, point, nth)
    return {
        "point": point,
        "killed": found.kills,
        "messages": found.messages,
        "mails": found.handed_off + found.in_doubt_taken,
        "twice": found.duplicates,
        "lost": found.lost,
        "left": found.in_doubt,
    }


def _verdict(site: Site, point: str, nth: int) -> Verdict:
    try:
        return kill_at(site, point, nth=nth)
    except MissedError:
        return kill_at(site, point)


if __name__ == "__main__":
    sys.exit(main())
