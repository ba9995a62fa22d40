"""The one error of this package."""


class ServerError(Exception):
    """A server of this checkout could not be started or stopped; the message says why."""
