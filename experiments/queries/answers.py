"""The answers in the list of reports, each kept for a while with the instant that it is about.

An answer reads all draws of its experiment. It is kept for a hundred times as long as it took, from
ten seconds to five minutes. So a list that is reloaded all the time takes at most a hundredth of a
core per experiment, and an answer that is cheap is never old. The list shows the instant beside it.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache

from activity.access import Viewer
from common.dates import instant_text
from experiments.models import Experiment
from experiments.queries.protocols import courses_of
from experiments.queries.reports import report
from experiments.reporting.advice import line_of
from experiments.reporting.facts import clock_among

_TIMES_AS_LONG = 100
_SHORTEST_SECONDS, _LONGEST_SECONDS = 10, 300


@dataclass(frozen=True)
class KeptAnswer:
    """An answer in one line, and the instant that it is about, in words."""

    line: str
    as_of: str


def kept_answer(experiment: Experiment, *, now: datetime, viewer: Viewer) -> KeptAnswer:
    """Return the experiment's answer: one that is kept, else the answer of its clock.

    Raise ProtocolError as `report` does. Other processes keep answers of their own.
    """
    # An answer may name courses, so it is kept for those who may see the same ones.
    courses = courses_of(experiment, viewer=viewer)
    seen = int("1" + "".join("01"[each.is_seen] for each in courses), 2)
    key = f"answer-{experiment.pk}-{experiment.protocol_sha256}-{experiment.status}-{seen:x}"
    kept: KeptAnswer | None = cache.get(key)
    if kept is not None:
        return kept
    began, as_of = time.monotonic(), clock_among(courses, now=now)
    found = report(experiment, as_of=as_of, viewer=viewer)
    answer = KeptAnswer(line_of(found), instant_text(as_of, zone=found.facts.zone))
    cache.set(key, answer, timeout=seconds_to_keep(time.monotonic() - began))
    return answer


def seconds_to_keep(took: float) -> float:
    """Return for how long an answer is kept that took so many seconds."""
    return min(max(_TIMES_AS_LONG * took, _SHORTEST_SECONDS), _LONGEST_SECONDS)
