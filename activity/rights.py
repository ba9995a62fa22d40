"""The right to let messages out: setting a course up needs another one."""

from typing import Protocol

SEND_MESSAGES = "activity.send_messages"
REFUSAL = (
    "This lets messages out to learners, and your account may not: ask somebody with the right"
    " “May let messages go out to learners”."
)


class _User(Protocol):
    def has_perm(self, perm: str) -> bool: ...


def may_send(user: _User) -> bool:
    """Return whether the user may let messages out."""
    return bool(user.has_perm(SEND_MESSAGES))
