"""Row ids from the addresses and forms of pages."""

MAX_ID_DIGITS = 18


def row_id(text: str) -> int | None:
    """Return the row id in the text, or None if it cannot be one."""
    # int() raises an error for thousands of digits, and no table has that many rows.
    return int(text) if text.isdecimal() and len(text) <= MAX_ID_DIGITS else None
