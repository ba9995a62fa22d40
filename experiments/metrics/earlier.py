"""The metrics of protocols of format 1, which stored only their keys. Never change them. Pure."""

from typing import Any

_WEEK = 604_800
_RATES = "score, or Boschloo in small arms"

FIRST_FORMAT: dict[str, dict[str, Any]] = {
    "quiz_attempted_7d": {
        "key": "quiz_attempted_7d",
        "name": "Quiz attempted within 7 days",
        "window_seconds": _WEEK,
        "outcome": {"kind": "happened", "verb": "ATTEMPT_QUIZ", "first_only": False},
        "words": "of learners attempted a quiz within 7 days",
        "analysis": _RATES,
    },
    "quiz_attempts_7d": {
        "key": "quiz_attempts_7d",
        "name": "Quiz attempts within 7 days",
        "window_seconds": _WEEK,
        "outcome": {"kind": "total", "verb": "ATTEMPT_QUIZ", "first_only": False},
        "words": "quiz attempts per learner within 7 days",
        "analysis": "Welch, with a permutation test in small or sparse arms",
    },
    "module_completed_7d": {
        "key": "module_completed_7d",
        "name": "Module completed within 7 days",
        "window_seconds": _WEEK,
        "outcome": {"kind": "happened", "verb": "COMPLETE_MODULE", "first_only": True},
        "words": "of learners completed a module within 7 days",
        "analysis": _RATES,
    },
}
