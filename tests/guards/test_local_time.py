"""PostgreSQL's own zone rules are never used, because its CET differs from zoneinfo's."""

import re

from tests.guards.code import PACKAGES, ROOT, name, python_files

NAMED_ZONE = re.compile(r"AT TIME ZONE(?! 'UTC')|pg_timezone_(names|abbrevs)", re.IGNORECASE)
# The module that explains this rule.
SELF = ROOT / "activity" / "local_time.py"


def test_sql_names_no_zone_but_utc() -> None:
    files = set(python_files(*PACKAGES, "bench")) - {SELF}

    assert [name(path) for path in sorted(files) if NAMED_ZONE.search(path.read_text())] == []


def test_guard_sees_a_named_zone() -> None:
    assert NAMED_ZONE.search("occurred_at AT TIME ZONE course.time_zone")
    assert not NAMED_ZONE.search("occurred_at AT TIME ZONE 'UTC'")
