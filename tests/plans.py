"""How PostgreSQL reads the tables of a piece of work."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection


def scanned_whole(work: Callable[[], object]) -> tuple[set[str], set[str]]:
    """Return the tables that the statements read, and those with a full scan."""
    found: list[dict[str, Any]] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip(" \n(").startswith(("SELECT", "WITH")):
            execute(f"EXPLAIN (FORMAT JSON) {sql}", params, many, context)
            (plan,) = context["cursor"].fetchone()[0]
            found.extend(_nodes(plan["Plan"]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        work()
    tables = {node["Relation Name"] for node in found if "Relation Name" in node}
    whole = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    return tables, whole


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
