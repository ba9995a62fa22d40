"""The permission to let messages out. Setting up a course needs other permissions."""

from typing import Protocol

SEND_MESSAGES = "activity.send_messages"
REFUSAL = (
    "This action lets messages out to learners, and your account has no permission for it. Ask"
    " somebody with the permission “May let messages go out to learners”."
)


class _User(Protocol):
    def has_perm(self, perm: str) -> bool: ...


def may_send(user: _User) -> bool:
    """Return whether the user may let messages out."""
    return bool(user.has_perm(SEND_MESSAGES))
