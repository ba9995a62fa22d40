"""Entry point of the web server."""

from django.core.wsgi import get_wsgi_application

from config.running.startup import PRODUCTION_SETTINGS, prepare, refuse_other_schema, wait_for_rows

# Longer than for a stage, because a user does not retry automatically as a beat does.
SECONDS_TO_WAIT_FOR_ROWS = 10
# With any other status gunicorn restarts the process again and again.
GUNICORN_DOES_NOT_START = 3

try:
    # The default is production: a server without configured settings must not use the local ones,
    # whose secret key is public. `manage.py serve` passes its settings to its children.
    prepare(default_settings=PRODUCTION_SETTINGS)
    wait_for_rows(SECONDS_TO_WAIT_FOR_ROWS)
    application = get_wsgi_application()
    refuse_other_schema(waits=False)
except SystemExit:
    raise SystemExit(GUNICORN_DOES_NOT_START) from None
