"""The demonstration: a simulated course played through every stage, and what came of it."""
