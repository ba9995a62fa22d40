"""Loads Django in the server that forks workers, before the modules that need it are loaded."""

import django

django.setup()
