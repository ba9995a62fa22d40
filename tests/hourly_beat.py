"""The Celery app with a beat once an hour: only wakes start the stages in between."""

from config.celery import app
from config.running import beat

__all__ = ["app"]

beat.SECONDS_BETWEEN_BEATS = 3600.0
