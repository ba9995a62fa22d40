"""Read what the page of a learner says, without a browser."""

from typing import Any

from django.contrib.auth import get_user_model

from activity.models import Enrollment
from config.views.learner.page import Section, section_of
from config.views.learner.timeline import Timeline, timeline
from tests.factories import NOW


def admin() -> Any:
    return get_user_model()(is_superuser=True, is_active=True)


def section(enrollment: Enrollment, at: Any = NOW) -> Section:
    enrollment.refresh_from_db()
    return section_of(enrollment, viewer=admin(), now=at)


def why(enrollment: Enrollment, at: Any = NOW) -> str:
    return " ".join(section(enrollment, at).answer)


def lines(found: Timeline) -> list[str]:
    return [entry.sentence for day in found.days for entry in day.entries]


def history(enrollment: Enrollment, at: Any = NOW, **more: Any) -> list[str]:
    return lines(timeline(enrollment, viewer=admin(), now=at, **more))
