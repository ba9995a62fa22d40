"""The health of the installation, as JSON for monitors and as a page for people."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from config.health.check import health
from config.health.faults import BROKER, DATABASE, Health
from config.health.reading import Reading

JSON, HTML = "application/json", "text/html"


@require_safe
def health_page(request: HttpRequest) -> HttpResponse:
    """Answer 200 if all is well, else 503 with the faults, as JSON or as a page.

    It reads no session and no user, because it must answer while the database is down.
    """
    state = health()
    status = 503 if state.is_red else 200
    if request.get_preferred_type([JSON, HTML]) == HTML:
        # Rendered without the request, because the site's frame would read the user.
        return HttpResponse(render_to_string("config/health.html", _shown(state)), status=status)
    return JsonResponse(as_json(state), status=status)


def as_json(state: Health) -> dict[str, Any]:
    """Return the health as JSON for monitors. Seconds are null if nothing waits or never ran."""
    shown: dict[str, Any] = {
        "status": "fail" if state.is_red else "ok",
        "faults": [{"part": each.part, "sentence": each.sentence} for each in state.faults],
        "remarks": list(state.remarks),
        "database": _word(state, DATABASE),
        "broker": _word(state, BROKER),
    }
    return shown | (_figures(state.reading) if state.reading else {})


def _figures(reading: Reading) -> dict[str, Any]:
    waiting, messages = reading.waiting, reading.messages
    return {
        "clock_difference_seconds": round(reading.clock_difference, 3),
        "seconds_since_last_run": {name: _whole(age) for name, age in reading.stages.items()},
        "oldest_due_seconds": _whole(waiting.due_seconds),
        "oldest_transition_seconds": _whole(waiting.transition_seconds),
        "oldest_message_seconds": _whole(waiting.message_seconds),
        "oldest_step_seconds": _whole(waiting.step_seconds),
        "oldest_opt_out_seconds": _whole(waiting.opt_out_seconds),
        "in_doubt": messages.in_doubt,
        "failed_last_hour": messages.failed_recently,
    }


def _whole(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _word(state: Health, part: str) -> str:
    return "ok" if state.is_well(part) else "fail"


def _shown(state: Health) -> Mapping[str, Any]:
    return {"state": state, "reading": state.reading, "stages": _stages(state.reading)}


def _stages(reading: Reading | None) -> list[tuple[str, float | None]]:
    return [] if reading is None else list(reading.stages.items())
