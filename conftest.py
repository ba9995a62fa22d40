"""Run before every test: have the servers up and name the settings, before Django loads."""

from config.running.startup import prepare

prepare(default_settings="config.settings.test")
