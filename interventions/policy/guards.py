"""The guards of a new site: quiet hours, frequency caps and categories. Only values."""

from datetime import time
from typing import Any

from interventions.policy.caps import Window

QUIET_HOURS: dict[str, Any] = {"begins": time(21), "ends": time(8)}
# Both caps defer messages and drop none, because it is not known which messages are important.
CAPS: tuple[dict[str, Any], ...] = (
    {"name": "One message a day", "limit": 1, "window": Window.CALENDAR_DAY.value, "length": 1},
    {
        "name": "Three messages in seven days",
        "limit": 3,
        "window": Window.ROLLING_DAYS.value,
        "length": 7,
    },
)
CATEGORIES: tuple[dict[str, Any], ...] = (
    {
        "key": "next-steps",
        "name": "Next steps",
        "description": "The next steps in the course, and help with difficult parts.",
    },
    {
        "key": "extras",
        "name": "Extras",
        "description": "Further reading and tasks for learners who do well.",
    },
)
