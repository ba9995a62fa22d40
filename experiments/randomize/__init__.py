"""Draws ids into arms. A draw depends only on seed and id, so it can be replayed."""
