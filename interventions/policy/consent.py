"""A learner's statements of consent, and their meaning for one category. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

# As a mail provider's feedback names a message that was moved out of the spam folder (RFC 6430).
NOT_SPAM = "not-spam"
HARD = frozenset({"hard", "permanent"})


@dataclass(frozen=True)
class ConsentStatement:
    """One statement of the learner about a category, or about all messages if it is None.

    `elsewhere`: it was made for another mailbox than the learner's present one.
    """

    category_id: int | None
    wants: bool
    at: datetime
    elsewhere: bool = False


def latest_statement(
    category_id: int, statements: Iterable[ConsentStatement]
) -> ConsentStatement | None:
    """Return the latest statement on the category. At one instant a no comes before a yes.

    A yes for another mailbox does not undo a no of this one, whose owner may be somebody else.
    """
    concerned = [each for each in statements if each.category_id in (None, category_id)]
    here = _latest(each for each in concerned if not each.elsewhere)
    if here is not None and not here.wants:
        concerned = [each for each in concerned if not (each.wants and each.elsewhere)]
    return _latest(concerned)


def _latest(statements: Iterable[ConsentStatement]) -> ConsentStatement | None:
    return max(statements, key=lambda each: (each.at, not each.wants), default=None)


def is_wanted(
    category_id: int, statements: Iterable[ConsentStatement], *, needs_opt_in: bool
) -> bool:
    """Return whether the learner gets this category. Without a statement: yes, unless opt-in."""
    statement = latest_statement(category_id, statements)
    if statement is None:
        return not needs_opt_in
    # A yes to all messages is not an opt-in to a category that needs its own opt-in.
    return statement.wants and (statement.category_id is not None or not needs_opt_in)


def is_complaint(properties: Mapping[str, object]) -> bool:
    """Return whether a mail provider's feedback is a complaint: "not spam" is the opposite."""
    return str(properties.get("feedback_type", "")).strip().lower() != NOT_SPAM


def is_hard_bounce(properties: Mapping[str, object]) -> bool:
    """Return whether the bounce is permanent, by its type or by a status of 5 (RFC 3463).

    A full mailbox or a server that is down also bounces, but accepts mail later.
    """
    kind = str(properties.get("bounce_type", "")).strip().lower()
    return kind in HARD or str(properties.get("status", "")).startswith("5.")
