"""What a report on an adaptive draw says, and how its arms are compared by period. Pure."""
