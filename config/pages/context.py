"""Template variables of all staff pages."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from activity.switch import chosen_course
from interventions.queries.pauses import site_is_paused, site_pause


def held(request: HttpRequest) -> dict[str, Any]:
    """Return by whom, since when and why all sending is held. It is read lazily."""
    return {"held": SimpleLazyObject(_held)}


def course(request: HttpRequest) -> dict[str, Any]:
    """Return the course to which the user limits the lists. It is read lazily."""
    return {"chosen_course": SimpleLazyObject(lambda: chosen_course(request))}


def _held() -> str:
    # Dispatch reads the switch, so the switch decides. The pause has the person and the reason.
    if not site_is_paused():
        return ""
    pause = site_pause()
    return pause.circumstances if pause else "by an unknown person"
