"""The real Celery app with a beat each half second: no test waits long for the next one.

`manage.py serve` runs the real beat in tests/config/test_serve_processes.py.
"""

from config.celery import app as app
from config.running import beat

beat.SECONDS_BETWEEN_BEATS = 0.5
