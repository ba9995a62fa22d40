"""Entry of the web server."""

from django.core.wsgi import get_wsgi_application

from config.startup import prepare

prepare()
application = get_wsgi_application()
