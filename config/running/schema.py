"""Whether the tables in the database are those of this version of the code."""

from django.db import connection
from django.db.migrations.loader import MigrationLoader

NAMED = 3


def schema_fault() -> str:
    """Return a sentence where the tables are of another version; empty if they are ours.

    Raises OperationalError where the database is away.
    """
    loader = MigrationLoader(connection)
    missing = sorted(loader.graph.nodes.keys() - loader.applied_migrations.keys())
    if missing:
        return (
            f"The database lacks {_named(missing)}: run manage.py migrate of this version, then"
            " start again."
        )
    # Of an app that is not installed any more, rows are left: they say nothing of a version.
    unknown = sorted(
        (app, name)
        for app, name in loader.applied_migrations.keys() - loader.graph.nodes.keys()
        if app in loader.migrated_apps and (app, name) not in loader.disk_migrations
    )
    if unknown:
        return (
            f"The database has {_named(unknown)}, which this version does not know: it has been"
            " migrated by a newer one. Start that one."
        )
    return ""


def _named(migrations: list[tuple[str, str]]) -> str:
    first = ", ".join(f"{app}.{name}" for app, name in migrations[:NAMED])
    more = len(migrations) - NAMED
    word = "migration" if len(migrations) == 1 else "migrations"
    return f"the {word} {first}{f' and {more} more' if more > 0 else ''}"
