"""Say to a learner, in words, what caused a message: the signals with which a segment was entered.

Each sentence is a clause with "you" that is true of the learner when the message is sent. A number
alone would read like a mark, so a low rate is said in words without it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import floor
from typing import Any, TypeGuard

from django.utils.translation import gettext, gettext_noop

MOST_CLAUSES = 2
# Below the first share of passed quizzes something was hard. Above the second, it is a praise.
_HARD, _WELL = 0.6, 0.8
# 0.29 * 100 is 28.999999999999996 in binary.
_BINARY = 1e-9


@dataclass(frozen=True)
class ModuleFacts:
    """What the learner did in the open module: videos opened, and its only quiz not tried."""

    title: str
    videos_opened: int
    has_untried_quiz: bool


_AND = gettext_noop("%(first)s and %(second)s")
_ONE_VIDEO = gettext_noop("you opened a video of %(module)s and have not tried its quiz")
_VIDEOS = gettext_noop("you opened %(count)s videos of %(module)s and have not tried its quiz")
_ACTIVE = gettext_noop("you were active on %(count)s of the last %(days)s days")
_AWAY = gettext_noop("you have not been in the course for %(count)s days")
_NO_QUIZ_SINCE = gettext_noop("you have not tried a quiz for %(count)s days")
_ONE_COMPLETED = gettext_noop("you completed a module in the last %(days)s days")
_COMPLETED = gettext_noop("you completed %(count)s modules in the last %(days)s days")
_ONE_VIEW = gettext_noop("you opened a page, a video or a file in the last %(days)s days")
_VIEWS = gettext_noop("you opened pages, videos or files in the last %(days)s days")
_NO_ATTEMPT = gettext_noop("you tried no quiz in the last %(days)s days")
_ONE_ATTEMPT = gettext_noop("you tried a quiz in the last %(days)s days")
_ATTEMPTS = gettext_noop("you tried a quiz %(count)s times in the last %(days)s days")
_QUIZZES_OPEN = gettext_noop("you tried no quiz of what you worked on in the last %(days)s days")
_WORK_OPEN = gettext_noop("a part of the work of the last %(days)s days is still open")
_WAS_HARD = gettext_noop("some quizzes of the last %(days)s days were hard")
_PASSED = gettext_noop("you passed %(percent)s%% of your scored quiz attempts")
_PASSED_LATELY = gettext_noop(
    "you passed %(percent)s%% of your scored quiz attempts of the last %(days)s days"
)
SENTENCES = (
    _AND, _ONE_VIDEO, _VIDEOS, _ACTIVE, _AWAY, _NO_QUIZ_SINCE, _ONE_COMPLETED, _COMPLETED,
    _ONE_VIEW, _VIEWS, _NO_ATTEMPT, _ONE_ATTEMPT, _ATTEMPTS, _QUIZZES_OPEN, _WORK_OPEN, _WAS_HARD,
    _PASSED, _PASSED_LATELY,
)  # fmt: skip
# Beside one of these, a praise would sound like mockery.
_OPEN = frozenset({
    _AWAY, _NO_QUIZ_SINCE, _NO_ATTEMPT, _QUIZZES_OPEN, _WORK_OPEN, _WAS_HARD,
})  # fmt: skip

Said = Callable[[float], str]


def _count(one: str, many: str, none: str = "") -> Said:
    return lambda value: none if value < 1 else one if value < 2 else many


# By the name of a signal, the clause for its value, or an empty text if there is nothing to say.
# Signals that are not here are left out: not every number is one to be told.
_SAID: Mapping[str, Said] = {
    "active_days": lambda value: _ACTIVE if value >= 1 else "",
    "activities_completed_rate": lambda value: _WORK_OPEN if value < 1 else "",
    "content_views": _count(_ONE_VIEW, _VIEWS),
    "days_since_activity": lambda value: _AWAY if value >= 2 else "",
    "days_since_quiz_attempt": lambda value: _NO_QUIZ_SINCE if value >= 2 else "",
    "modules_completed": _count(_ONE_COMPLETED, _COMPLETED),
    "quiz_attempt_rate": lambda value: _QUIZZES_OPEN if value == 0 else "",
    "quiz_attempts": _count(_ONE_ATTEMPT, _ATTEMPTS, _NO_ATTEMPT),
    "quiz_pass_rate": lambda value: (
        _PASSED if value >= _WELL else _WAS_HARD if value < _HARD else ""
    ),
}


def why_in_words(signals: Mapping[str, Any], module: ModuleFacts | None) -> str:
    """Return what caused the message as a clause in the active language, or an empty text.

    `signals` are those of a membership, by their identity. One that no longer holds is None.
    """
    if module and module.videos_opened and module.has_untried_quiz and _is_about_quizzes(signals):
        sentence = _VIDEOS if module.videos_opened > 1 else _ONE_VIDEO
        return gettext(sentence) % {"count": module.videos_opened, "module": module.title}
    told = [*_sentences(signals)]
    if any(sentence in _OPEN for sentence, _ in told):
        told = [each for each in told if each[0] not in {_PASSED, _PASSED_LATELY}]
    clauses = [gettext(sentence) % blanks for sentence, blanks in told[:MOST_CLAUSES]]
    if len(clauses) < MOST_CLAUSES:
        return "".join(clauses)
    return gettext(_AND) % dict(zip(("first", "second"), clauses, strict=True))


def _is_about_quizzes(signals: Mapping[str, Any]) -> bool:
    return any(shape_of(each)["field"] == "quiz_attempt_rate" for each in signals)


@lru_cache(maxsize=1_024)
def shape_of(identity: str) -> Mapping[str, Any]:
    """Return the field, window and argument of a signal from its identity."""
    # Many messages have the same few signals.
    shape: Mapping[str, Any] = json.loads(identity)
    return shape


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a signal's value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sentences(signals: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a sentence for each signal that is told, with the values for its blanks."""
    for identity, value in signals.items():
        shape = shape_of(identity)
        say = _SAID.get(shape["field"])
        if say is None or not is_number(value):
            continue
        days = shape.get("window") or 0
        sentence = say(value)
        if sentence == _PASSED and days:
            sentence = _PASSED_LATELY
        # Without a window the signal is over the whole course, and one day is not "the last days".
        if sentence and ("%(days)s" not in sentence or days > 1):
            # Rounded down: 99.7 % are not all.
            percent = floor(value * 100 + _BINARY)
            yield sentence, {"count": int(value), "days": days, "percent": percent}
