"""The error of this package."""


class ServerError(Exception):
    """An embedded server could not be started or stopped. The message says why."""
