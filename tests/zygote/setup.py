"""Loads Django in the server that forks processes, before the modules that need it are loaded."""

import django

django.setup()
