"""What only the page of a report shows: the difference over time, parts of learners, balance."""

from datetime import datetime

from activity.access import COMMAND_LINE, Viewer, for_user
from activity.models import Course
from experiments.models import Experiment
from experiments.protocol import read_protocol
from experiments.queries.groups import BY_COURSE, by_trait, grouped_outcomes, outcomes_over_time
from experiments.queries.ledger import deviations_of
from experiments.queries.outcomes import aggregates_by_arm
from experiments.queries.snapshots import snapshot_days
from experiments.reporting.baseline import BASELINE, baseline_rows
from experiments.reporting.details import Details
from experiments.reporting.looking import moments_over_time
from experiments.reporting.report import Report
from experiments.reporting.subgroups import Subgroups, subgroups

# More links would make the page long. All entries are in the admin's list.
MOST_KEPT = 60


def details(
    experiment: Experiment, report: Report, *, as_of: datetime, viewer: Viewer = COMMAND_LINE
) -> Details:
    """Return the details of a report. Four queries, two more for several courses, one per trait.

    Courses that the viewer may not see are counted, but not named.
    """
    analysis = read_protocol(experiment.protocol).analysis
    primary, level = report.primary.metric, report.facts.level
    before = aggregates_by_arm(experiment.pk, metrics=BASELINE, as_of=as_of)
    baseline = baseline_rows(report.arms, {arm: each.observed for arm, each in before.items()})
    deviations = [each for each in deviations_of(experiment) if each[0] <= as_of]
    kept = snapshot_days(experiment)[:MOST_KEPT]
    if report.facts.draws_sections:
        # The other details compare single learners.
        return Details([], [], baseline, deviations, kept)
    over_time = outcomes_over_time(
        experiment.pk, metric=primary, zone=report.facts.zone, as_of=as_of
    )
    moments = moments_over_time(
        over_time,
        primary=primary,
        arms=report.arms,
        tuned_to=analysis.expected_learners,
        level=level,
    )
    parts = _subgroups(experiment, report, analysis.subgroups, as_of, viewer)
    return Details(moments, parts, baseline, deviations, kept)


def _subgroups(
    experiment: Experiment,
    report: Report,
    traits: tuple[str, ...],
    as_of: datetime,
    viewer: Viewer,
) -> list[Subgroups]:
    ways = {trait: by_trait(trait) for trait in traits}
    if len(report.facts.courses) > 1:
        ways = {"Course": BY_COURSE, **ways}
    found = []
    for name, by in ways.items():
        groups = grouped_outcomes(experiment.pk, metric=report.primary.metric, by=by, as_of=as_of)
        if by is BY_COURSE:
            titles = _titles(viewer)
            groups = {titles[key]: groups[key] for key in groups if key in titles}
        found.append(
            subgroups(
                name, groups, primary=report.primary.metric, arms=report.arms,
                level=report.facts.level,
            )
        )  # fmt: skip
    return found


def _titles(viewer: Viewer) -> dict[str, str]:
    seen = for_user(Course.objects.all(), viewer)
    return {str(pk): title for pk, title in seen.values_list("pk", "title")}
