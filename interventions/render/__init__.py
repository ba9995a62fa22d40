"""Rendering of messages: fill in templates, sanitize them and put them into a mail."""
