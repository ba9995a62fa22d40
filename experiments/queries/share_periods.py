"""The periods of constant shares of an adaptive draw."""

from datetime import datetime

from django.db.models import Count

from experiments.models import Assignment, Experiment, SharePeriod
from experiments.reporting.share_periods import Period


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
