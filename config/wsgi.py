"""Entry of the web server."""

from django.core.wsgi import get_wsgi_application

from config.running.startup import PRODUCTION_SETTINGS, prepare, refuse_other_schema, wait_for_rows

# A page waits longer than a stage does: nobody presses the button again at the next beat.
SECONDS_TO_WAIT_FOR_ROWS = 10
# With any other status gunicorn starts the process again at once, for ever.
GUNICORN_DOES_NOT_START = 3

try:
    # A server where the settings were forgotten must not run on the local ones: their secret key is
    # known to everybody. `manage.py serve` names its settings to its children.
    prepare(default_settings=PRODUCTION_SETTINGS)
    wait_for_rows(SECONDS_TO_WAIT_FOR_ROWS)
    application = get_wsgi_application()
    refuse_other_schema(waits=False)
except SystemExit:
    raise SystemExit(GUNICORN_DOES_NOT_START) from None
