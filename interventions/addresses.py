"""Mail addresses as mail servers and we write them. Pure."""


def deliverable(address: str) -> str:
    """Return the address with its domain in ASCII (IDNA), as every mail server takes it."""
    name, at, domain = address.rpartition("@")
    try:
        return f"{name}{at}{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        # No domain at all. It is compared as it stands; sending to it fails on its own.
        return address


def comparable(address: str) -> str:
    """Return the one form that every way of writing the address shares.

    Before the at sign, servers may tell A from a; hardly one does, and writing to somebody who is
    suppressed is worse than not writing to a namesake.
    """
    return deliverable(address.strip().lower())
