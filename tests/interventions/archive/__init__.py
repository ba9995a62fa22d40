"""Tests of the archive of old messages, entries and leavings."""
