"""Documents about what is configured, for people and for review."""
