"""The state of an experiment now, and the deviations that the states in its ledger show."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from activity.access import COMMAND_LINE, Viewer, for_user
from activity.models import Course
from experiments.ledger.states import (
    Change,
    State,
    changes,
    received_in,
    received_of,
    state_in,
)
from experiments.models import EntryKind, Experiment, LedgerEntry
from experiments.queries.ledger import entry_of, instant
from experiments.queries.protocols import population_of
from segmentation.models import SegmentStatus

HIDDEN = "a course that you may not see"
_SETTINGS = ("key", "pass_mark", "time_zone", "starts_on", "ends_on")


def state_of(experiment: Experiment) -> State:
    """Return the state of the experiment, whose row must have been read just now. Two queries."""
    segments = population_of(experiment)
    courses = Course.objects.filter(playbooks__segments__in=segments)
    if experiment.playbook_id is not None:
        courses = Course.objects.filter(playbooks=experiment.playbook_id)
    return State(
        coverage=f"{experiment.coverage.normalize():f}",
        name=experiment.name,
        # Nobody enters an archived segment any more.
        segments=dict(
            segments.exclude(status=SegmentStatus.ARCHIVED).values_list("key", "version")
        ),
        courses={
            key: {
                "pass_mark": f"{pass_mark.normalize():f}",
                "time_zone": time_zone,
                "starts_on": starts_on.isoformat(),
                "ends_on": ends_on.isoformat(),
            }
            for key, pass_mark, time_zone, starts_on, ends_on in courses.distinct().values_list(
                *_SETTINGS
            )
        },
        stopped_at=instant(experiment.stopped_at) if experiment.stopped_at else "",
        ended_because=experiment.ended_because,
        winner=experiment.winner,
    )


def last_state(experiment: Experiment) -> State | None:
    """Return the state that the ledger holds, or None for one of an earlier release. One query."""
    rows = LedgerEntry.objects.filter(experiment=experiment, kind__in=_WITH_STATE)
    last = rows.order_by("position").last()
    return None if last is None else state_in(entry_of(last))


def deviations_of(
    experiment: Experiment, *, as_of: datetime, viewer: Viewer = COMMAND_LINE
) -> list[tuple[datetime, str]]:
    """Return the changes after the start with their instants, the first one first.

    Changes that no entry holds yet are dated as_of. Courses that the viewer may not see are not
    named. Four queries, five with courses to be named.
    """
    kinds = (*_WITH_STATE, EntryKind.DEVIATION)
    rows = LedgerEntry.objects.filter(experiment=experiment, kind__in=kinds)
    entries = list(rows.order_by("position"))
    found = [each for each in _noted(entries) if each[0] <= as_of]
    if not experiment.is_restored:
        # The courses around a restored experiment are not its own.
        found += _unnoted(experiment, entries, as_of)
    keys = {each.course for _, each in found} - {""}
    seen = for_user(Course.objects.filter(key__in=keys), viewer) if keys else Course.objects.none()
    titles = {key: f"“{title}”" for key, title in seen.values_list("key", "title")}
    return [(at, _named(each, titles)) for at, each in found]


def _noted(entries: Sequence[LedgerEntry]) -> Iterator[tuple[datetime, Change]]:
    """Yield the sentences of deviations, and what changed from each state to the next."""
    before: State | None = None
    for row in entries:
        if row.kind == EntryKind.DEVIATION:
            yield row.at, Change(json.loads(row.content)["what"])
            continue
        now = state_in(entry_of(row))
        if before is not None and now is not None:
            for change in changes(before, now):
                yield row.at, change
        before = now or before


def _unnoted(
    experiment: Experiment, entries: Sequence[LedgerEntry], as_of: datetime
) -> Iterator[tuple[datetime, Change]]:
    states = [row for row in entries if row.kind in _WITH_STATE]
    before = state_in(entry_of(states[-1])) if states else None
    if before is not None:
        # Read anew: a change between the two readings would look as if it were taken back.
        now = state_of(Experiment.objects.get(pk=experiment.pk))
        # What the arms get is for another app to say. The beat notes it.
        now = received_in(now, received_of(before))
        for change in changes(before, now):
            yield as_of, change


def _named(change: Change, titles: Mapping[str, str]) -> str:
    if not change.course:
        return change.text
    text = change.text.format(course=titles.get(change.course, HIDDEN))
    return text[0].upper() + text[1:]


_WITH_STATE = (EntryKind.PROTOCOL, EntryKind.STATE)
