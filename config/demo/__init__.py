"""The demo: a simulated course that goes through all stages, and its results."""
