"""The stages of this app, which beat starts. One module per stage."""
