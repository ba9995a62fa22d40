"""Run before every test: have the servers up and name the settings, before Django loads."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.test")

from config.startup import prepare

prepare()
