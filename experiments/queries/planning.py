"""What a draft would lock now, whom it would draw, and among whom of the past it is replayed."""

import hashlib
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import sqrt
from statistics import fmean, pstdev

from django.core.cache import cache

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment
from common.clock import local_midnight
from common.dates import day_text
from experiments.design import BUCKETS, SECTION
from experiments.metrics.definitions import Metric
from experiments.models import Experiment
from experiments.protocol import ExperimentProtocol, ProtocolError, protocol_text, read_protocol
from experiments.queries.analyses import planned_protocol
from experiments.queries.answers import seconds_to_keep
from experiments.queries.designs import courses_in, design_at_start
from experiments.queries.protocols import population_of, protocol_arms
from experiments.queries.replays import in_layer, past_of, present_at, present_draw
from experiments.queries.sections import section_sizes
from experiments.queries.units import reached_learners, units_of
from experiments.reporting.check_power import ASSUMED, PowerFacts
from experiments.reporting.facts import shared_zone
from experiments.reporting.planning import TEN_POINTS
from experiments.reporting.prospects import Prospects
from experiments.reporting.replays import FEWEST, DrawPlan, Past, Replays, replay
from experiments.stats.adaptive.comparison import is_compared
from experiments.stats.adaptive.forecast import Forecast, adapting_forecast
from experiments.stats.designs import SectionDesign, icc_of_history
from experiments.stats.estimate import Estimate
from experiments.stats.sections import by_section
from segmentation.queries import entries_by_week, first_entries

WEEKS = 4
# A medium effect on learning, in standard deviations, is .05 to .20: Kraft (2020).
FIFTH = 0.2
# The learners of the past among whom an experiment is replayed. More would take too long.
MOST = 2_000
# The members who are drawn for the comparison with other experiments.
MOST_DRAWN = 20_000


def protocol_now(experiment: Experiment, *, now: datetime) -> ExperimentProtocol:
    """Return the locked protocol, or for a draft the one that would be locked now.

    Raise ProtocolError if the draft cannot start.
    """
    if experiment.protocol:
        return read_protocol(experiment.protocol)
    return protocol_of_draft(experiment, now=now)


def protocol_of_draft(experiment: Experiment, *, now: datetime) -> ExperimentProtocol:
    """Return the protocol that the draft would lock now, without its promise.

    Raise ProtocolError if it cannot start.
    """
    try:
        design = design_at_start(experiment, now=now)
    except ValueError as error:
        raise ProtocolError(str(error)) from error
    found = ExperimentProtocol(protocol_arms(experiment), experiment.seed, design=design)
    return planned_protocol(experiment, found)


@dataclass(frozen=True)
class Checked:
    """An experiment with its protocol of now, at an instant, for a viewer."""

    experiment: Experiment
    protocol: ExperimentProtocol
    now: datetime
    viewer: Viewer

    @cached_property
    def metric(self) -> Metric:
        """Return the primary outcome."""
        return self.protocol.chosen_metrics()[0]

    @cached_property
    def plan(self) -> DrawPlan:
        """Return the arms and the design by which learners are drawn."""
        return DrawPlan.of(
            {arm.key: arm.weight for arm in self.protocol.arms},
            control=self.protocol.control,
            seed=self.protocol.seed,
            design=self.protocol.design,
            coverage=float(self.experiment.coverage),
            level=self.protocol.level,
        )

    @cached_property
    def courses(self) -> list[Course]:
        """Return the courses whose learners are drawn."""
        return courses_in(self.experiment)

    @cached_property
    def zone(self) -> str:
        """Return the zone in which the page writes days."""
        return shared_zone(course.time_zone for course in self.courses)

    @cached_property
    def segment_ids(self) -> list[int]:
        """Return the segments whose members are drawn."""
        return list(population_of(self.experiment).order_by("pk").values_list("pk", flat=True))

    @cached_property
    def member_ids(self) -> list[int]:
        """Return the enrollments that are members now."""
        members = Enrollment.objects.filter(
            memberships__segment__in=self.segment_ids, memberships__left_at__isnull=True
        )
        return list(members.order_by("pk").values_list("pk", flat=True).distinct())

    @cached_property
    def prospects(self) -> Prospects:
        """Return the members, and those who entered in the last weeks. At most five queries."""
        design = self.protocol.design
        weeks, entered = entries_by_week(
            self.segment_ids, weeks=WEEKS, until=self.now, viewer=self.viewer
        )
        layer = 1.0 if design.layer is None else (design.layer.end - design.layer.start) / BUCKETS
        return Prospects(
            self.now,
            self.zone,
            members=len(self.member_ids),
            weeks=weeks,
            entered=entered,
            share=self.plan.coverage * layer,
            reached=self._reached() if design.excludes_reached else 0,
            outside=0 if design.layer is None else self._outside(),
            ends_at=design.end,
            most=design.most_learners,
            looks=tuple(map(datetime.fromisoformat, self.protocol.analysis.looks)),
        )

    def _outside(self) -> int:
        units = units_of(self.member_ids)
        return len(units) - len(in_layer(units, self.protocol.design))

    def _reached(self) -> int:
        units = units_of(self.member_ids)
        reached = reached_learners({unit.learner_id for unit in units})
        return sum(unit.learner_id in reached for unit in units)

    @cached_property
    def _starts(self) -> tuple[dict[int, datetime], str]:
        """Return learners of the past with the instants of their draws, and who they are."""
        until = self.now - self.metric.window
        since = until - timedelta(weeks=WEEKS)
        entered = first_entries(
            self.segment_ids, since=since, until=until, most=MOST, viewer=self.viewer
        )
        if len(entered) >= FEWEST:
            days = f"{day_text(since, zone=self.zone)} to {day_text(until, zone=self.zone)}"
            return entered, f"those who entered from {days}, drawn as they entered"
        there: dict[int, datetime] = {}
        for course in for_user(Course.objects.filter(pk__in=self._course_ids), self.viewer):
            at = min(until, _end_of(course) - (self.now - until))
            there |= present_at(course, at=at, most=MOST // len(self._course_ids))
        return there, (
            "everybody who was then in the course, all drawn at once, as too few have entered "
            "the segment yet"
        )

    @property
    def _course_ids(self) -> list[int]:
        return [course.pk for course in self.courses]

    @property
    def source(self) -> str:
        """Return who the learners of the past are."""
        return self._starts[1]

    @cached_property
    def past(self) -> Past:
        """Return learners of the past with their outcomes in the primary metric."""
        metric = self.metric
        return past_of(self._starts[0], design=self.protocol.design, metric=metric, as_of=self.now)

    @cached_property
    def usual_lift(self) -> float:
        """Return the smallest difference that the draft says matters, else a usual one.

        That is ten points of a share, or a fifth of a standard deviation.
        """
        typed = self.protocol.analysis.smallest_lift
        if typed is not None:
            return typed
        if not self.metric.family.has_numbers or self.past.size < FEWEST:
            return TEN_POINTS
        spread = sqrt(self.metric.observe(Counter(self.past.rows)).sums.variance)
        # Two digits are enough for a number that nobody has chosen.
        return float(f"{FIFTH * spread:.2g}") or TEN_POINTS

    @cached_property
    def icc(self) -> Estimate | None:
        """Return how alike learners of one section were; None if sections are not the unit."""
        if self.protocol.design.unit != SECTION:
            return None
        value = getattr(self.metric.outcome, "value", None)
        pairs = [
            (value(row[0]), section)
            for row, section in zip(self.past.rows, self.past.sections, strict=True)
            if section and value is not None
        ]
        return icc_of_history(by_section(*zip(*pairs, strict=True)).values() if pairs else [])

    @cached_property
    def power_facts(self) -> PowerFacts:
        """Return what the power is computed from."""
        return PowerFacts(
            self.metric,
            self.plan.weights,
            self.plan.control,
            self.plan.treated,
            self.protocol.level,
            baseline=self._baseline,
            learners=self.past.size,
            planned=self._planned,
            looks=len(self.protocol.analysis.looks),
            sections=self._sections,
            forecast=self._forecast,
            uncompared=self._uncompared,
            most_sections=self._most_sections,
        )

    @property
    def _baseline(self) -> float:
        known = self.past.size >= FEWEST
        return round(self.past.level(self.metric), 2) if known else ASSUMED

    @property
    def _planned(self) -> int:
        return self.experiment.expected_learners or self.prospects.planned

    @property
    def _forecast(self) -> Forecast | None:
        """Return what adapting is expected to leave, if one arm is better by the usual lift."""
        adapting, weights = self.protocol.design.adapting, dict(self.plan.weights)
        if adapting is None or not self._planned:
            return None
        first = [weights.pop(self.plan.control), weights.pop(self.plan.treated)]
        rates = [self._baseline, min(self._baseline + self.usual_lift, 1.0)]
        return adapting_forecast(
            [*rates, *(self._baseline for _ in weights)],
            weights=[*first, *weights.values()],
            adapting=adapting,
            learners=self._planned,
        )

    @property
    def _uncompared(self) -> list[str]:
        if self.protocol.design.adapting is None:
            return []
        chosen = self.protocol.chosen_metrics()
        return [metric.name for metric in chosen if not is_compared(metric.family)]

    @cached_property
    def _section_sizes(self) -> list[int]:
        return [each.size for each in section_sizes(courses=self.courses) if each.size]

    @property
    def _most_sections(self) -> int:
        number = round(len(self._section_sizes) * self.plan.coverage)
        most = self.protocol.design.most_sections
        return number if most is None else min(number, most)

    @property
    def _sections(self) -> SectionDesign | None:
        """Return the sizes of the sections and how alike their learners are."""
        if self.icc is None:
            return None
        sizes = self._section_sizes or [1]
        mean = fmean(sizes)
        icc = min(max(self.icc.value, 0.0), 1.0) if self.icc.has_value else 0.0
        return SectionDesign(0, 0, 1.0, icc, pstdev(sizes) / mean)

    def would_draw(self) -> dict[int, str]:
        """Return the arm of each member by enrollment id, if it started now. Nothing is written."""
        units = in_layer(units_of(self.member_ids[:MOST_DRAWN]), self.protocol.design)
        return present_draw(units, self.plan, now=self.now)


def _end_of(course: Course) -> datetime:
    """Return the midnight before the course's last day."""
    return local_midnight(course.ends_on, course.time_zone)


@dataclass(frozen=True)
class KeptReplays:
    """Replays, the instant that they are about, and among whom they were made."""

    replays: Replays
    at: datetime
    source: str


def kept_replays(checked: Checked, *, lift: float) -> KeptReplays:
    """Return the replays of the plan: those that are kept, or new ones.

    They are kept as long as the answers of the list: up to five minutes. Other processes keep their
    own.
    """
    # Learners of courses that the viewer may not see are left out, so each viewer has replays.
    viewer = getattr(checked.viewer, "pk", "")
    coverage = checked.experiment.coverage
    text = f"{protocol_text(checked.protocol)} {lift!r} {coverage} {viewer}"
    digest = hashlib.sha256(text.encode()).hexdigest()
    key = f"replays-{checked.experiment.pk}-{digest}"
    kept: KeptReplays | None = cache.get(key)
    if kept is not None:
        return kept
    began = time.monotonic()
    found = replay(checked.past, checked.plan, metric=checked.metric, lift=lift)
    kept = KeptReplays(found, checked.now, checked.source)
    cache.set(key, kept, timeout=seconds_to_keep(time.monotonic() - began))
    return kept
