"""What a learner said they want, and what it means for one category. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Word:
    """One thing the learner said: of a category, or (None) of every message."""

    category_id: int | None
    wants: bool
    at: datetime


def last_word(category_id: int, words: Iterable[Word]) -> Word | None:
    """Return the latest word that concerns the category; of two at one instant, the no."""
    concerned = (word for word in words if word.category_id in (None, category_id))
    return max(concerned, key=lambda word: (word.at, not word.wants), default=None)


def is_wanted(category_id: int, words: Iterable[Word], *, needs_opt_in: bool) -> bool:
    """Return whether the learner gets this category. Silence is a yes unless it needs an opt-in."""
    word = last_word(category_id, words)
    if word is None:
        return not needs_opt_in
    # "Every message" was never an opt-in to what asks for one by name.
    return word.wants and (word.category_id is not None or not needs_opt_in)
