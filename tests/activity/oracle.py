"""The two read models in plain Python, written from the design and without the project's code."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

NO_ACTS = {
    "EMAIL_SENT",
    "EMAIL_OPENED",
    "EMAIL_CLICKED",
    "EMAIL_BOUNCED",
    "EMAIL_COMPLAINED",
    "UNSUBSCRIBED",
}
COUNTED = {
    "LOGIN": "logins",
    "VIEW_MODULE": "views",
    "VIEW_ITEM": "views",
    "PLAY_VIDEO": "plays",
    "DOWNLOAD_RESOURCE": "downloads",
    "START_ASSIGNMENT": "starts",
    "SUBMIT_ASSIGNMENT": "submissions",
    "ATTEMPT_QUIZ": "attempts",
}
COMPLETES = {"assignment": "SUBMIT_ASSIGNMENT", "quiz": "ATTEMPT_QUIZ", "module": "COMPLETE_MODULE"}


@dataclass(frozen=True)
class Done:
    """The fields of a logged event that the read models use."""

    learner: str
    item: str | None
    verb: str
    at: datetime
    count: int = 1
    score: Decimal | None = None
    passed: bool | None = None


@dataclass(frozen=True)
class Thing:
    """An item: its kind and the key of its module."""

    kind: str
    module: str | None = None


def daily_activity(
    log: Iterable[Done], *, zone: str, registered_no_acts: set[str]
) -> dict[Any, Any]:
    """Return the counters by learner and local day."""
    days: dict[Any, Any] = defaultdict(lambda: defaultdict(int))
    for event in log:
        if event.verb in NO_ACTS | registered_no_acts:
            continue
        row = days[event.learner, event.at.astimezone(ZoneInfo(zone)).date()]
        row["acts"] += event.count
        row["last_act_at"] = max(row["last_act_at"] or event.at, event.at)
        if event.verb in COUNTED:
            row[COUNTED[event.verb]] += event.count
        row.setdefault("last_attempt_at", None)
        if event.verb == "ATTEMPT_QUIZ":
            row["last_attempt_at"] = max(row["last_attempt_at"] or event.at, event.at)
        if event.verb == "ATTEMPT_QUIZ" and event.score is not None:
            row["scored"] += 1
            row["passed"] += bool(event.passed)
            row["score_sum"] += event.score
    return {key: dict(row) for key, row in days.items()}


def progress(
    log: Iterable[Done], *, items: Mapping[str, Thing], registered_no_acts: set[str]
) -> dict[Any, Any]:
    """Return the progress by learner and item."""
    acts = defaultdict(list)
    touches = defaultdict(list)
    for event in log:
        if event.item is None or event.verb in NO_ACTS | registered_no_acts:
            continue
        acts[event.learner, event.item].append(event)
        touches[event.learner, event.item].append(event.at)
        module = items[event.item].module
        if module is not None:
            touches[event.learner, module].append(event.at)
    return {key: _item_row(at, acts[key], items[key[1]].kind) for key, at in list(touches.items())}


def _item_row(touched: list[datetime], acts: list[Done], kind: str) -> dict[str, Any]:
    attempts = [act for act in acts if act.verb == "ATTEMPT_QUIZ"]
    scored = [(act.at, act.score) for act in acts if act.score is not None]
    last_scored_at, last_score = max(scored, default=(None, None))
    completing = COMPLETES.get(kind, "COMPLETE_ITEM")
    return {
        "first_touched_at": min(touched),
        "last_touched_at": max(touched),
        "attempts": sum(act.count for act in attempts),
        "last_attempt_at": max((act.at for act in attempts), default=None),
        "best_score": max((score for _, score in scored), default=None),
        "last_score": last_score,
        "last_scored_at": last_scored_at,
        "first_passed_at": min((act.at for act in acts if act.passed), default=None),
        "first_completed_at": min((act.at for act in acts if act.verb == completing), default=None),
    }
