"""What every page of staff may say, whatever it is about."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from interventions.queries.pauses import site_is_paused, site_pause


def held(request: HttpRequest) -> dict[str, Any]:
    """Return who holds all sending, since when and why, read where a page asks for it."""
    return {"held": SimpleLazyObject(_held)}


def _held() -> str:
    # The switch is what dispatch reads, so it decides; the pause says who and why.
    if not site_is_paused():
        return ""
    pause = site_pause()
    return pause.circumstances if pause else "by nobody known"
