"""Template variables of all staff pages."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from interventions.queries.pauses import site_is_paused, site_pause


def held(request: HttpRequest) -> dict[str, Any]:
    """Return by whom, since when and why all sending is held. It is read lazily."""
    return {"held": SimpleLazyObject(_held)}


def _held() -> str:
    # Dispatch reads the switch, so the switch decides. The pause has the person and the reason.
    if not site_is_paused():
        return ""
    pause = site_pause()
    return pause.circumstances if pause else "by an unknown person"
