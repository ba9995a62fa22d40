"""What only the page of a report shows: the difference over time, parts of learners, balance."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from activity.access import COMMAND_LINE, Viewer, for_user
from activity.models import Course, Enrollment
from experiments.metrics.observed import Observed
from experiments.models import Experiment
from experiments.protocol import read_protocol
from experiments.queries.balance import balance_of
from experiments.queries.groups import BY_COURSE, by_trait, grouped_outcomes, outcomes_over_time
from experiments.queries.outcomes import aggregates_by_arm
from experiments.queries.protocols import population_of
from experiments.queries.search import drawn_parts, entered_parts
from experiments.queries.snapshots import snapshot_days
from experiments.queries.states import deviations_of
from experiments.randomize.hash import bucket_of_many
from experiments.reporting.baseline import BASELINE, baseline_rows
from experiments.reporting.details import Details
from experiments.reporting.looking import moments_over_time
from experiments.reporting.readings import readings
from experiments.reporting.report import Report
from experiments.reporting.search import parts_that_stand_out
from experiments.reporting.strata import strata_table
from experiments.reporting.subgroups import Subgroups, subgroups

# More links would make the page long. All entries are in the admin's list.
MOST_KEPT = 60
# Counting more members than this would keep a page waiting.
MOST_MEMBERS = 50_000


def details(
    experiment: Experiment, report: Report, *, as_of: datetime, viewer: Viewer = COMMAND_LINE
) -> Details:
    """Return the details of a report. Nine queries, two more for several courses, one per trait,
    one for strata, one for an exclusion layer while it is open.

    Courses that the viewer may not see are counted, but not named.
    """
    found = _details(experiment, report, as_of, viewer)
    return replace(found, outside=_outside(experiment) if report.is_open else None)


def _outside(experiment: Experiment) -> int | None:
    """Return how many present members lie outside its part of the exclusion layer.

    None without a layer, and if there are too many members to count them on a page.
    """
    design = read_protocol(experiment.protocol).design
    if design.layer is None:
        return None
    members = Enrollment.objects.filter(
        memberships__segment__in=population_of(experiment), memberships__left_at__isnull=True
    )
    ids = list(members.values_list("learner_id", flat=True).distinct()[: MOST_MEMBERS + 1])
    if len(ids) > MOST_MEMBERS:
        return None
    buckets = bucket_of_many([str(pk) for pk in ids], seed=design.layer.seed).tolist()
    return sum(bucket not in design.layer for bucket in buckets)


def _details(experiment: Experiment, report: Report, as_of: datetime, viewer: Viewer) -> Details:
    protocol = read_protocol(experiment.protocol)
    analysis, covariates = protocol.analysis, protocol.design.strata
    strata = (
        strata_table(report, balance_of(experiment, as_of=as_of), covariates)
        if covariates
        else None
    )
    primary, level = report.primary.metric, report.facts.level
    deviations = deviations_of(experiment, as_of=as_of, viewer=viewer)
    kept = snapshot_days(experiment)[:MOST_KEPT]
    if report.facts.is_adaptive:
        # The arms were filled at different times, so even the time before the draw may differ.
        return Details([], [], [], [], deviations, kept)
    before = aggregates_by_arm(experiment.pk, metrics=BASELINE, as_of=as_of)
    baseline = baseline_rows(report.arms, {arm: each.observed for arm, each in before.items()})
    is_of_learners = not report.facts.draws_sections
    is_searched = is_of_learners and report.is_mismatch
    standing_out = _search(experiment, report, as_of, viewer) if is_searched else []
    if report.is_withheld or not is_of_learners:
        # The other details compare single learners, or what must not be compared.
        return Details([], [], baseline, [], deviations, kept, standing_out, strata)
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
    by_course = _by_course(experiment, report, as_of)
    parts = [
        *_courses(report, by_course, viewer),
        *_traits(experiment, report, analysis.subgroups, as_of),
    ]
    found = readings(report, by_course)
    return Details(moments, parts, baseline, found, deviations, kept, strata=strata)


def _search(experiment: Experiment, report: Report, as_of: datetime, viewer: Viewer) -> list[str]:
    drawn = drawn_parts(experiment.pk, zone=report.facts.zone, as_of=as_of, viewer=viewer)
    entered = entered_parts(experiment, as_of=as_of, viewer=viewer)
    return parts_that_stand_out([*drawn, *entered], report.arms)


def _by_course(
    experiment: Experiment, report: Report, as_of: datetime
) -> dict[str, dict[str, Observed]]:
    """Return the primary outcome by course and arm, or nothing for one course."""
    if len(report.facts.courses) < 2:
        return {}
    primary = report.primary.metric
    return grouped_outcomes(experiment.pk, metric=primary, by=BY_COURSE, as_of=as_of)


def _courses(
    report: Report, by_course: dict[str, dict[str, Observed]], viewer: Viewer
) -> list[Subgroups]:
    if not by_course:
        return []
    titles = _titles(viewer)
    seen = {titles[key]: found for key, found in by_course.items() if key in titles}
    unnamed: Counter[str] = Counter()
    for key, found in by_course.items():
        if key not in titles:
            unnamed.update({arm: each.n for arm, each in found.items()})
    return [subgroups("Course", seen, report=report, unnamed=unnamed)]


def _traits(
    experiment: Experiment, report: Report, traits: tuple[str, ...], as_of: datetime
) -> list[Subgroups]:
    primary = report.primary.metric
    return [
        subgroups(
            trait,
            grouped_outcomes(experiment.pk, metric=primary, by=by_trait(trait), as_of=as_of),
            report=report,
        )
        for trait in traits
    ]


def _titles(viewer: Viewer) -> dict[str, str]:
    seen = for_user(Course.objects.all(), viewer)
    return {str(pk): title for pk, title in seen.values_list("pk", "title")}
