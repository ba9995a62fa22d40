"""What both read models are made of: acts, counters, and how two rows become one. Pure."""

from collections.abc import Iterable, Sequence

from activity.verbs import NOT_ACTS

# Counters stop here instead of overflowing: one absurd total must not make a whole batch fail.
# A sum that stops at a limit is the same in any order, so merging stays exact.
COUNTER_LIMIT = 2_147_483_647

# A verb registered as no act is asked for by name: the registry is small, and rebuild, ingest and
# past instants then agree on what an act is without a column in the log.
IS_ACT = f"""event.verb NOT IN ({", ".join(f"'{verb}'" for verb in NOT_ACTS)})
    AND event.verb NOT IN (SELECT name FROM activity_verb WHERE NOT is_act)"""  # noqa: S608

ATTEMPT = "event.verb = 'ATTEMPT_QUIZ'"
SCORED = f"{ATTEMPT} AND event.score IS NOT NULL"


def total(condition: str, name: str) -> str:
    """Return the column that adds the counts of the events for which the condition holds."""
    return (
        f"LEAST(COALESCE(sum(event.count) FILTER (WHERE {condition}), 0), {COUNTER_LIMIT})::int"
        f" AS {name}"
    )


def added(name: str) -> str:
    """Return the change of a counter that grows."""
    return f"{name} = LEAST(kept.{name}::bigint + excluded.{name}, {COUNTER_LIMIT})"


def earliest(name: str) -> str:
    """Return the change of an instant that stays the first."""
    return f"{name} = LEAST(kept.{name}, excluded.{name})"


def latest(name: str) -> str:
    """Return the change of an instant or score that stays the last, or the highest."""
    return f"{name} = GREATEST(kept.{name}, excluded.{name})"


def merge(table: str, columns: Sequence[str], key: Sequence[str], changes: Iterable[str]) -> str:
    """Return the statement that merges a `{select}` into the table, row by row of the key."""
    # Sorted by the key: two batches that meet in the same rows lock them in the same order.
    return (
        f"INSERT INTO {table} AS kept ({', '.join(columns)}) {{select}} ORDER BY {', '.join(key)}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    )
