"""The limits set by admins, in the form that the policy reads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from experiments.models import Arm, Experiment
from interventions.channels import CHANNELS, Route
from interventions.models import CapWindow, FrequencyCap, Holdout, OnExceed, QuietHours
from interventions.policy import holdouts as policy
from interventions.policy.caps import (
    LONGEST_WINDOW_DAYS,
    Cap,
    Message,
    Window,
    covers,
    horizon,
    makes_idle,
    most_under,
)
from interventions.policy.decision import ONCE_WITHIN
from interventions.policy.hours import ClosedHours
from interventions.queries.archive import days_of_ledger

OPEN = Route()
# The windows with a length.
_HOURS: dict[str, int] = {CapWindow.ROLLING_HOURS: 1, CapWindow.ROLLING_DAYS: 24}
_TOO_LONG = (
    "The ledger keeps the messages of {0} days, so a cap cannot count older ones. Choose a window "
    "of {0} days or less."
)
_MORE_THAN_YEARS = f"A window can have at most {LONGEST_WINDOW_DAYS:,} days, which are ten years."


@dataclass
class Limits:
    """Caps, quiet hours by course (None: the site's) and holdouts, as read at one moment."""

    caps: tuple[Cap, ...]
    quiet_hours: dict[int | None, ClosedHours]
    holdouts: tuple[policy.Holdout, ...] = ()
    routes: dict[str, Mapping[int | None, Route | None]] = field(default_factory=dict)

    @property
    def horizon(self) -> timedelta:
        """Return how far back a message can still count."""
        return max((ONCE_WITHIN, *(horizon(cap) for cap in self.caps)))

    @property
    def arm_ids(self) -> frozenset[int]:
        """Return the arms that have a cap of their own."""
        return frozenset(cap.arm_id for cap in self.caps if cap.arm_id is not None)

    def caps_of(
        self, message: Message, *, arms: Collection[int], is_capped: bool
    ) -> tuple[Cap, ...]:
        """Return the caps that limit the message to a learner in these arms."""
        if not is_capped:
            return ()
        concerned = (cap for cap in self.caps if cap.arm_id is None or cap.arm_id in arms)
        return tuple(cap for cap in concerned if covers(cap, message))

    def quiet_hours_of(self, course_id: int | None) -> ClosedHours | None:
        """Return the course's quiet hours, else the site's."""
        return self.quiet_hours.get(course_id, self.quiet_hours.get(None))

    def holdout_of(self, learner_id: int, course_id: int, *, now: datetime) -> str:
        """Return the name of the holdout that the learner belongs to, or nothing."""
        found = policy.holdout_of(learner_id, course_id, self.holdouts, now=now)
        return found.name if found else ""

    def route_of(self, channel: str, course_id: int) -> Route | None:
        """Return where the course's messages go on the channel, or None if it is not set up.

        A channel that needs no route has one that is always open. Routes are read once per channel.
        If the course has its own, but it is switched off, its messages go to no other one.
        """
        read = CHANNELS[channel].routes
        if read is None:
            return OPEN
        if channel not in self.routes:
            self.routes[channel] = read()
        found = self.routes[channel]
        return found.get(course_id, found.get(None))


def read_limits() -> Limits:
    """Return all limits in force. Three queries."""
    caps = FrequencyCap.objects.filter(active=True).order_by("id")
    hours = QuietHours.objects.values_list("course_id", "begins", "ends")
    return Limits(
        caps=tuple(_cap(row) for row in caps),
        quiet_hours={course: ClosedHours(begins, ends) for course, begins, ends in hours},
        holdouts=tuple(policy_holdout(row) for row in Holdout.objects.order_by("id")),
    )


def longest_horizon() -> timedelta:
    """Return how far back a message can count for any cap, also one that is made active again.

    One query.
    """
    return Limits(tuple(_cap(row) for row in FrequencyCap.objects.all()), {}).horizon


def problem_of_window(row: FrequencyCap) -> str:
    """Return why the cap cannot count all messages of its window, or nothing.

    Those that the ledger does not keep are in the archive, which no cap reads. The ledger keeps all
    that stored caps count, however long they are. One query for a long window.
    """
    days = days_of_ledger()
    hours = row.length * _HOURS.get(row.window, 0)
    if hours > LONGEST_WINDOW_DAYS * 24 and (days is None or days >= LONGEST_WINDOW_DAYS):
        return _MORE_THAN_YEARS
    if days is None or hours <= days * 24:
        return ""
    days = max(days, longest_horizon().days)
    return _TOO_LONG.format(days) if hours > days * 24 else ""


def limits_with_cap(row: FrequencyCap) -> Limits:
    """Return the limits as if this cap were saved, new or in place of the stored one."""
    limits = read_limits()
    others = FrequencyCap.objects.filter(active=True).exclude(pk=row.pk).order_by("id")
    caps = [*map(_cap, others), *([_cap(row)] if row.active else [])]
    return replace(limits, caps=tuple(caps))


def limits_with_quiet_hours(row: QuietHours) -> Limits:
    """Return the limits as if these quiet hours were saved, new or in place of the stored ones."""
    limits = read_limits()
    stored = QuietHours.objects.filter(pk=row.pk).values_list("course_id", flat=True)
    others = {of: each for of, each in limits.quiet_hours.items() if of not in set(stored)}
    hours = ClosedHours(row.begins, row.ends)
    return replace(limits, quiet_hours={**others, row.course_id: hours})


def caps_of_arms(experiment: Experiment) -> list[FrequencyCap]:
    """Return the active caps that limit only one arm of the experiment. One query."""
    found = FrequencyCap.objects.filter(arm__experiment=experiment, active=True)
    return list(found.select_related("arm__experiment", "category", "course").order_by("id"))


def overruled_cap(
    caps: Sequence[FrequencyCap], *, course_id: int | None
) -> tuple[FrequencyCap, FrequencyCap] | None:
    """Return one of these caps of arms that is overruled, with the cap for everybody that does it.

    One whose arm can never receive as many messages as it allows, or any one if none of the caps
    changes anything. `course_id` is the course of the experiment, if it has only one. One query.
    """
    found = []
    for other in FrequencyCap.objects.filter(active=True, arm=None).order_by("id"):
        for cap in caps:
            read = replace(_cap(cap), course_id=cap.course_id or course_id)
            if makes_idle(_cap(other), read):
                found.append((cap, other, most_under(_cap(other), read) < cap.limit))
    less = [(cap, other) for cap, other, is_less in found if is_less]
    if not less and {cap.pk for cap, _, _ in found} == {cap.pk for cap in caps}:
        less = [(cap, other) for cap, other, _ in found]
    return less[0] if less else None


def arm_of_stored_cap(cap_id: int | None) -> Arm | None:
    """Return the arm of a cap as it is stored, with its experiment, or None. One query."""
    rows = FrequencyCap.objects.select_related("arm__experiment")
    found = rows.filter(pk=cap_id).first() if cap_id else None
    return found.arm if found else None


def policy_holdout(row: Holdout) -> policy.Holdout:
    """Return the holdout in the form that the policy reads."""
    return policy.Holdout(
        name=row.name,
        share=float(row.share),
        seed=row.seed,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        course_id=row.course_id,
    )


def _cap(row: FrequencyCap) -> Cap:
    return Cap(
        name=row.name,
        limit=row.limit,
        window=Window(row.window),
        length=row.length,
        drops=row.on_exceed == OnExceed.DROP,
        channel=row.channel or None,
        category_id=row.category_id,
        course_id=row.course_id,
        arm_id=row.arm_id,
    )
