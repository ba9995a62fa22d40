"""A course and its learners, drawn from a seed: every history is fixed before any message."""
