"""The stages of this app that beat starts, one module per stage."""
