"""Numeric arguments of commands, with sentences for wrong values."""

from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """Return a whole number of at least 1. Raise ArgumentTypeError with a sentence otherwise."""
    if not _is_number(text) or int(text) < 1:
        raise ArgumentTypeError(f"'{text}' must be a whole number, 1 or more.")
    return int(text)


def not_negative(text: str) -> int:
    """Return a whole number of at least 0. Raise ArgumentTypeError with a sentence otherwise."""
    if not _is_number(text):
        raise ArgumentTypeError(f"'{text}' must be a whole number, 0 or more.")
    return int(text)


def share(text: str) -> float:
    """Return a number from 0 to 1. Raise ArgumentTypeError with a sentence otherwise."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"'{text}' must be a number from 0 to 1.")
    return value


def _is_number(text: str) -> bool:
    # Python's int() would also accept digits of other scripts, spaces and underscores.
    return text.isascii() and text.isdigit()
