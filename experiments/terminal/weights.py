"""Weights of arms as they are written on a command line. Pure."""

from math import isfinite

from experiments.terminal.tables import TableError


def parse_weights(text: str) -> dict[str, float]:
    """Return the weights written as `control=0.5,nudge=0.5`, in that order.

    Raise TableError for any other text.
    """
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.rpartition("=")
        if not name.strip():
            raise TableError(f"'{part}' is not a weight. Write weights like control=0.5,nudge=0.5.")
        if name.strip() in weights:
            raise TableError(f"The arm '{name.strip()}' has two weights.")
        weights[name.strip()] = parse_share(share)
    return weights


def parse_planned_weights(text: str) -> dict[str, float]:
    """Return the weights with which arms were drawn, such as `control=1,nudge=3`, of any sum.

    Raise TableError for any other text, and if the weights cannot be those of a draw.
    """
    weights = parse_weights(text)
    for arm, weight in weights.items():
        if not (isfinite(weight) and weight >= 0):
            raise TableError(f"The weight of '{arm}' must be 0 or a number above 0.")
    if sum(weight > 0 for weight in weights.values()) < 2:
        raise TableError("At least two arms need a weight above 0.")
    return weights


def parse_share(text: str) -> float:
    """Return the number in the text. Raise TableError if it is not a number."""
    try:
        return float(text)
    except ValueError:
        raise TableError(f"'{text}' is not a number.") from None
