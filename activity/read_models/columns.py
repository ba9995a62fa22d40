"""Parts of the SQL of both read models: acts, counters, and how two rows are merged. Pure."""

from collections.abc import Iterable, Sequence

from activity.verbs import NOT_ACTS

# Counters stop at this limit and do not overflow, so that one absurd total cannot make a whole
# batch fail. A sum with a limit is the same in any order, so merging stays exact.
COUNTER_LIMIT = 2_147_483_647

# Registered verbs that are not acts are looked up by name. The table is small, and so rebuild,
# ingest and past instants agree on what an act is without a column in the log.
IS_ACT = f"""event.verb NOT IN ({", ".join(f"'{verb}'" for verb in NOT_ACTS)})
    AND event.verb NOT IN (SELECT name FROM activity_verb WHERE NOT is_act)"""  # noqa: S608

ATTEMPT = "event.verb = 'ATTEMPT_QUIZ'"
SCORED = f"{ATTEMPT} AND event.score IS NOT NULL"


def total(condition: str, name: str) -> str:
    """Return the column that sums the counts of the events for which the condition is true."""
    return (
        f"LEAST(COALESCE(sum(event.count) FILTER (WHERE {condition}), 0), {COUNTER_LIMIT})::int"
        f" AS {name}"
    )


def added(name: str) -> str:
    """Return the SET clause that adds to a counter."""
    return f"{name} = LEAST(kept.{name}::bigint + excluded.{name}, {COUNTER_LIMIT})"


def earliest(name: str) -> str:
    """Return the SET clause that keeps the earlier instant."""
    return f"{name} = LEAST(kept.{name}, excluded.{name})"


def latest(name: str) -> str:
    """Return the SET clause that keeps the later instant or the higher score."""
    return f"{name} = GREATEST(kept.{name}, excluded.{name})"


def merge(table: str, columns: Sequence[str], key: Sequence[str], changes: Iterable[str]) -> str:
    """Return the statement that merges a `{select}` into the table by the key."""
    # Sorted by the key, so that two batches with the same rows lock them in the same order.
    return (
        f"INSERT INTO {table} AS kept ({', '.join(columns)}) {{select}} ORDER BY {', '.join(key)}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    )
