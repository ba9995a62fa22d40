"""The permissions to let messages out and to take lists away as files.

Setting up a course and reading pages need other permissions.
"""

from typing import Protocol

SEND_MESSAGES = "activity.send_messages"
EXPORT_LISTS = "activity.export_lists"
REFUSAL = (
    "This action lets messages out to learners, and your account has no permission for it. Ask"
    " somebody with the permission “May let messages go out to learners”."
)


class _User(Protocol):
    def has_perm(self, perm: str) -> bool: ...


def may_send(user: _User) -> bool:
    """Return whether the user may let messages out."""
    return bool(user.has_perm(SEND_MESSAGES))


def may_export(user: _User) -> bool:
    """Return whether the user may download lists of learners and messages as files."""
    return bool(user.has_perm(EXPORT_LISTS))
