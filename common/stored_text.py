"""Text that PostgreSQL can store. Pure."""

# Stored texts are limited to a million characters, because longer ones are of no use.
MAX_TEXT = 1_000_000


def unstorable(value: str) -> str:
    """Return in words which character of the text cannot be stored, or an empty text."""
    if "\0" in value:
        return "a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "half a character"
    return ""


def without_nul(value: str) -> str:
    """Return the text without NUL, which PostgreSQL neither stores nor compares."""
    return value.replace("\0", "")


def storable_text(value: str) -> str:
    """Return the text without NUL and half characters, cut to a million characters."""
    cut = value[:MAX_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return cut.encode(errors="replace").decode()
