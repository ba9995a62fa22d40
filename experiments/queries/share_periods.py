"""The periods of constant shares of an adaptive draw, and the outcomes that they follow from."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count

from activity.models import Event
from experiments.ledger import ShareRecord
from experiments.models import Assignment, Experiment, SharePeriod
from experiments.protocol import ExperimentProtocol
from experiments.queries.outcomes import aggregates_by_arm
from experiments.reporting.share_periods import Period

# Learners with the outcome, and learners counted, by the key of the arm.
KnownCounts = dict[str, tuple[int, int]]

# An event is stamped before it is committed, and a draw sees only what is committed. A request
# takes seconds, but all events of an imported file are stamped with the start of the import.
COMMITTED_WITHIN = timedelta(hours=1)


def periods_of(experiment: Experiment, *, as_of: datetime) -> list[Period]:
    """Return the periods up to the instant, with the learners drawn by arm. Two queries."""
    rows = Assignment.objects.filter(experiment=experiment, assigned_at__lte=as_of).order_by()
    drawn: dict[int, dict[str, int]] = {}
    counted = rows.values_list("period", "arm__key").annotate(number=Count("pk"))
    for period, arm, number in counted:
        drawn.setdefault(period, {})[arm] = number
    periods = SharePeriod.objects.filter(experiment=experiment, at__lte=as_of)
    return [
        Period(str(each.position), each.position, each.at, each.shares, drawn.get(each.pk, {}))
        for each in periods.order_by("position")
    ]


def known_counts(
    experiment_id: int,
    protocol: ExperimentProtocol,
    *,
    as_of: datetime,
    known_by: datetime | None = None,
) -> KnownCounts:
    """Return what was known of the primary outcome at the instant, by arm. One query.

    Only learners whose window had ended by then count. `known_by` is as in `aggregates_by_arm`.
    """
    primary = protocol.chosen_metrics()[0]
    known = aggregates_by_arm(experiment_id, metrics=[primary], as_of=as_of, known_by=known_by)
    sums = {arm: found.observed[primary.key].sums for arm, found in known.items()}
    nobody = primary.observe({}).sums
    by_arm = {arm.key: sums.get(arm.key, nobody) for arm in protocol.arms if arm.weight > 0}
    return {arm: (found.successes, found.n) for arm, found in by_arm.items()}


def recount_fault(
    experiment: Experiment, protocol: ExperimentProtocol, records: Sequence[ShareRecord]
) -> str:
    """Return the first count behind the shares that the event log does not give, as a sentence.

    The events are counted as they were known when the shares were written, so later ones change
    nothing. Events that were received in the hour before may have been committed too late for the
    draw: a count with some of them passes. A restored experiment without events has nothing to
    count. One query per change of the shares.
    """
    if experiment.is_restored and not has_events(experiment):
        return ""
    found = (_recounted(experiment, protocol, each) for each in records if each.position)
    return next(filter(None, found), "")


def has_events(experiment: Experiment) -> bool:
    """Return whether the database has events of the learners who were drawn."""
    return Event.objects.filter(enrollment__assignments__experiment=experiment).exists()


def _recounted(experiment: Experiment, protocol: ExperimentProtocol, record: ShareRecord) -> str:
    at = datetime.fromisoformat(record.at)
    latest = known_counts(experiment.pk, protocol, as_of=at)
    if all(tuple(record.counts.get(arm, ())) == now for arm, now in latest.items()):
        return ""
    surely = known_counts(experiment.pk, protocol, as_of=at, known_by=at - COMMITTED_WITHIN)
    for arm, now in latest.items():
        sealed = tuple(record.counts.get(arm, (0, 0)))
        ranges = map(sorted, zip(surely[arm], now, strict=True))
        if not all(low <= each <= high for each, (low, high) in zip(sealed, ranges, strict=True)):
            return (
                f"The shares from draw {record.position} on follow from {_words(sealed)} in the "
                f"arm {arm}, but the events known at {record.at} give {_words(now)}."
            )
    return ""


def _words(counted: Sequence[int]) -> str:
    return f"{counted[0]:,} of {counted[1]:,} learners with the outcome"
