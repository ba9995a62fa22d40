"""Statistics of adaptive draws, on numbers only. Pure."""
