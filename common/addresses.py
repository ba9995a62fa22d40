"""Normalize mail addresses: for sending, and for comparing. Pure."""

import idna


def deliverable(address: str) -> str:
    """Return the address with its domain in ASCII, as every mail server accepts it.

    The domain is encoded by IDNA 2008, in which straße and strasse are two domains (RFC 5891). If
    the domain has no such form, the address is returned unchanged, and no mail can be sent to it.
    """
    name, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        # UTS 46 maps capitals and full-width letters to the form that IDNA requires. Python's own
        # codec implements IDNA 2003: it writes ß as ss, which is somebody else's domain.
        return f"{name}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def comparable(address: str) -> str:
    """Return the mailbox: one form for all spellings of the address.

    For an ASCII address it equals lower(address) in SQL. Before the at sign, a server may
    distinguish upper and lower case, but hardly any server does. Not writing to a different learner
    is better than writing to a learner who opted out.
    """
    return deliverable(address.strip()).lower()
