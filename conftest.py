"""Runs before all tests: start the servers and set the settings before Django loads."""

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
