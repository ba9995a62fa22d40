"""Check whether the tables in the database are those of this version of the code."""

from django.db import connection
from django.db.migrations.loader import MigrationLoader

NAMED = 3


def schema_fault() -> str:
    """Return a sentence if the tables are of another version, else an empty text.

    Raises OperationalError if the database is down.
    """
    loader = MigrationLoader(connection)
    missing = sorted(loader.graph.nodes.keys() - loader.applied_migrations.keys())
    if missing:
        return (
            f"The database lacks {_named(missing)}. Run manage.py migrate of this version, then"
            " start again."
        )
    # Rows of an app that is no longer installed do not count.
    unknown = sorted(
        (app, name)
        for app, name in loader.applied_migrations.keys() - loader.graph.nodes.keys()
        if app in loader.migrated_apps and (app, name) not in loader.disk_migrations
    )
    if unknown:
        return (
            f"The database has {_named(unknown)}, which this version does not know. A newer"
            " version has migrated the database. Start that version."
        )
    return ""


def _named(migrations: list[tuple[str, str]]) -> str:
    first = ", ".join(f"{app}.{name}" for app, name in migrations[:NAMED])
    more = len(migrations) - NAMED
    word = "migration" if len(migrations) == 1 else "migrations"
    return f"the {word} {first}{f' and {more} more' if more > 0 else ''}"
