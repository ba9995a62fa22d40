"""Mail addresses as mail servers and we write them. Pure."""

import idna


def deliverable(address: str) -> str:
    """Return the address with its domain in ASCII, as every mail server takes it.

    By IDNA 2008, in which straße and strasse are two domains (RFC 5891). An address with a domain
    that has no such form comes back as it is: nothing can be sent to it.
    """
    name, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        # UTS 46 brings capitals and full-width letters into the form that IDNA asks for. Python's
        # own codec is of 2003: it writes ß as ss and leads to a domain of somebody else.
        return f"{name}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def comparable(address: str) -> str:
    """Return the one form that every way of writing the address shares: the mailbox.

    For what is ASCII it is lower(address) in SQL. Before the at sign, servers may tell A from a;
    hardly one does, and writing to somebody who said no is worse than not writing to a namesake.
    """
    return deliverable(address.strip()).lower()
