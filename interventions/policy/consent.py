"""What a learner said they want, and what it means for one category. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

# As a mail provider's feedback names a message that was moved out of the spam folder (RFC 6430).
NOT_SPAM = "not-spam"
HARD = frozenset({"hard", "permanent"})


@dataclass(frozen=True)
class ConsentStatement:
    """One thing the learner said: of a category, or (None) of every message."""

    category_id: int | None
    wants: bool
    at: datetime


def latest_statement(
    category_id: int, statements: Iterable[ConsentStatement]
) -> ConsentStatement | None:
    """Return the latest statement that concerns the category; of two at one instant, the no."""
    concerned = (
        statement for statement in statements if statement.category_id in (None, category_id)
    )
    return max(concerned, key=lambda statement: (statement.at, not statement.wants), default=None)


def is_wanted(
    category_id: int, statements: Iterable[ConsentStatement], *, needs_opt_in: bool
) -> bool:
    """Return whether the learner gets this category. Silence is a yes unless it needs an opt-in."""
    statement = latest_statement(category_id, statements)
    if statement is None:
        return not needs_opt_in
    # "Every message" was never an opt-in to what asks for one by name.
    return statement.wants and (statement.category_id is not None or not needs_opt_in)


def is_complaint(properties: Mapping[str, object]) -> bool:
    """Return whether a mail provider's feedback is a complaint: "not spam" is the opposite."""
    return str(properties.get("feedback_type", "")).strip().lower() != NOT_SPAM


def is_hard_bounce(properties: Mapping[str, object]) -> bool:
    """Return whether the mailbox takes no mail for good: said so, or by a status of 5 (RFC 3463).

    A full mailbox or a server that was down bounce too, and take mail again.
    """
    kind = str(properties.get("bounce_type", "")).strip().lower()
    return kind in HARD or str(properties.get("status", "")).startswith("5.")
