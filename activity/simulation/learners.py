"""The learners of a simulated course: five kinds with different habits. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np

from activity.simulation.course import TIME_ZONE, SimulatedCourse, section_key
from common.clock import local_midnight

# One stream of random numbers per purpose. With a single stream, another probability of the coin
# would change the history of every learner.
_PERSON, _COIN, HISTORY = range(3)

_GIVEN = ("Ana", "Bo", "Cy", "Dara", "Efe", "Fay", "Gil", "Hana", "Ines", "Jon", "Kit", "Lea")
_FAMILY = (
    "Adler",
    "Berg",
    "Costa",
    "Duarte",
    "Evans",
    "Fischer",
    "Okoro",
    "Hale",
    "Iyer",
    "Jansen",
)
_ZONES = (TIME_ZONE, "Europe/Berlin", "America/New_York")
_ZONE_SHARES = (0.88, 0.08, 0.04)
_NO_ADDRESS = 0.01
_OPTED_OUT = 0.02
_LATE = 0.12
_LATE_DAYS = 5


class Kind(StrEnum):
    """The kind of a learner. Each kind is designed to fill one of the five segments."""

    ACTIVE = "active"
    VIDEO_ONLY = "video_only"
    STRUGGLING = "struggling"
    STALLED = "stalled"
    VETERAN = "veteran"


@dataclass(frozen=True)
class Habits:
    """The habits of a kind of learner. Rates and shares are 0 to 1; days and tasks are means."""

    share: float
    days_a_week: float
    tasks_a_session: float
    quiz_rate: float
    skill: float
    retry_rate: float
    submit_rate: float
    finish_rate: float
    pause_rate: float


HABITS = {
    Kind.ACTIVE: Habits(
        share=0.24,
        days_a_week=4.5,
        tasks_a_session=3.2,
        quiz_rate=0.96,
        skill=0.82,
        retry_rate=0.9,
        submit_rate=0.96,
        finish_rate=0.99,
        pause_rate=0.03,
    ),
    Kind.VIDEO_ONLY: Habits(
        share=0.42,
        days_a_week=2.0,
        tasks_a_session=6.0,
        quiz_rate=0.08,
        skill=0.8,
        retry_rate=0.7,
        submit_rate=0.12,
        finish_rate=0.99,
        pause_rate=0.05,
    ),
    Kind.STRUGGLING: Habits(
        share=0.14,
        days_a_week=2.5,
        tasks_a_session=5.5,
        quiz_rate=0.85,
        skill=0.44,
        retry_rate=0.6,
        submit_rate=0.4,
        finish_rate=0.97,
        pause_rate=0.05,
    ),
    Kind.STALLED: Habits(
        share=0.11,
        days_a_week=2.5,
        tasks_a_session=5.5,
        quiz_rate=0.7,
        skill=0.76,
        retry_rate=0.7,
        submit_rate=0.6,
        finish_rate=0.95,
        pause_rate=1.0,
    ),
    Kind.VETERAN: Habits(
        share=0.09,
        days_a_week=2.0,
        tasks_a_session=12.0,
        quiz_rate=0.98,
        skill=0.93,
        retry_rate=0.9,
        submit_rate=0.97,
        finish_rate=1.0,
        pause_rate=0.02,
    ),
}


@dataclass(frozen=True)
class Coin:
    """The effect of a message on a learner. It is drawn before any message, and from its own
    random numbers."""

    shows_one: bool
    delay: timedelta
    score: float


@dataclass(frozen=True)
class SimulatedLearner:
    """One learner of the course. Email None means that the roster has no address."""

    index: int
    external_id: str
    name: str
    email: str | None
    time_zone: str
    section: str
    unit_key: UUID
    enrolled_on: date
    opted_out: bool
    kind: Kind
    coin: Coin


def draw_learner(
    course: SimulatedCourse, index: int, *, seed: int, probability: float
) -> SimulatedLearner:
    """Return learner `index` of the course. The result does not depend on the other learners."""
    rng = stream(seed, index, _PERSON)
    external_id = f"{course.key}-{index + 1:04d}"
    name = f"{rng.choice(_GIVEN)} {rng.choice(_FAMILY)}"
    address = f"{name.lower().replace(' ', '.')}.{index + 1}@{course.key}.example"
    return SimulatedLearner(
        index=index,
        external_id=external_id,
        name=name,
        email=None if rng.random() < _NO_ADDRESS else address,
        time_zone=str(rng.choice(_ZONES, p=_ZONE_SHARES)),
        section=section_key(int(rng.integers(course.sections))),
        unit_key=uuid5(NAMESPACE_URL, f"simulation:{course.key}:{seed}:{index}"),
        enrolled_on=course.starts_on + _lateness(rng),
        opted_out=bool(rng.random() < _OPTED_OUT),
        kind=_draw_kind(rng),
        coin=_draw_coin(seed, index, probability),
    )


def stream(seed: int, index: int, purpose: int) -> np.random.Generator:
    """Return the learner's random number generator for one purpose."""
    return np.random.default_rng([seed, index, purpose])


def learner_line(learner: SimulatedLearner) -> dict[str, Any]:
    """Return the learner as import_jsonl reads it, without its type."""
    # The kind is left out: segments must find it from the learner's activity.
    return {
        "external_id": learner.external_id,
        "email": learner.email,
        "name": learner.name,
        "time_zone": learner.time_zone,
        "locale": "en",
    }


def enrollment_line(course: SimulatedCourse, learner: SimulatedLearner) -> dict[str, Any]:
    """Return the enrollment as import_jsonl reads it, without its type."""
    return {
        "course": course.key,
        "learner": learner.external_id,
        "section": learner.section,
        "unit_key": str(learner.unit_key),
        "enrolled_at": local_midnight(learner.enrolled_on, TIME_ZONE).isoformat(),
    }


def _lateness(rng: np.random.Generator) -> timedelta:
    late = rng.random() < _LATE
    return timedelta(days=int(rng.integers(1, _LATE_DAYS + 1)) if late else 0)


def _draw_kind(rng: np.random.Generator) -> Kind:
    kinds = list(HABITS)
    return kinds[int(rng.choice(len(kinds), p=[HABITS[kind].share for kind in kinds]))]


def _draw_coin(seed: int, index: int, probability: float) -> Coin:
    rng = stream(seed, index, _COIN)
    return Coin(
        shows_one=bool(rng.random() < probability),
        delay=timedelta(seconds=int(3600 * (1 + rng.gamma(2.0, 4.0)))),
        score=round(float(rng.beta(6, 3)), 4),
    )
