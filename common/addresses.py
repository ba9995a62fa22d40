"""Normalize mail addresses: for sending, and for comparing. Pure."""

from common.hosts import ascii_domain


def deliverable(address: str) -> str:
    """Return the address with its domain in ASCII, as every mail server accepts it.

    An address whose domain has no such form is returned unchanged. No mail can be sent to it.
    """
    name, at, domain = address.rpartition("@")
    try:
        return f"{name}{at}{ascii_domain(domain)}"
    except ValueError:
        return address


def comparable(address: str) -> str:
    """Return the mailbox: one form for all spellings of the address.

    For an ASCII address it equals lower(address) in SQL. Before the at sign, a server may
    distinguish upper and lower case, but hardly any server does. Not writing to a different learner
    is better than writing to a learner who opted out.
    """
    return deliverable(address.strip()).lower()
