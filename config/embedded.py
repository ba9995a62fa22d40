"""PostgreSQL and Valkey of this checkout, for machines that have none."""


class ServerError(Exception):
    """A server could not be started; the message says why."""


def ensure() -> None:
    """Start what is missing."""
