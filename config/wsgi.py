"""Entry of the web server."""

from django.core.wsgi import get_wsgi_application

from config.startup import PRODUCTION_SETTINGS, prepare

# A server where the settings were forgotten must not run on the local ones: their secret key is
# known to everybody. `manage.py serve` names its settings to its children.
prepare(default_settings=PRODUCTION_SETTINGS)
application = get_wsgi_application()
