"""The scripts of the rule builder, which `make install` builds from frontend/."""

import json
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.urls import reverse

from segmentation.rules import offered_signals

MISSING = (
    "The rule builder is not built on this machine, so this page shows the rule only as text."
    " Run “make install” in the folder of Nudgelab, then open the page again."
)


def bundle_address(name: str = "rule_builder") -> str | None:
    """Return the address of the script, or None if it is not built.

    The address changes with the sources, so that no browser keeps an older script.
    """
    found = finders.find("built/built.json")
    if found is None:
        return None
    try:
        built = json.loads(Path(found).read_text(encoding="utf-8"))
    except ValueError:
        # It is being written at this moment.
        return None
    return f"{static(f'built/{name}.js')}?{built['sources'][:12]}"


def builder_data(*, is_read_only: bool = False) -> dict[str, Any]:
    """Return what the script needs: the signals, and the address that counts a rule."""
    return {
        "signals": offered_signals(),
        "url": reverse("segmentation:count"),
        "is_read_only": is_read_only,
    }
