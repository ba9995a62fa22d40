"""Who is drawn into which arm: from a seed and an id alone, so that every draw can be replayed."""
