"""The script of the rule builder, which `make install` builds from frontend/."""

import json
from pathlib import Path

from django.contrib.staticfiles import finders
from django.templatetags.static import static

MISSING = (
    "The rule builder is not built on this machine, so this page shows the rule only as text."
    " Run “make install” in the folder of Nudgelab, then open the page again."
)


def bundle_address() -> str | None:
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
    return f"{static('built/rule_builder.js')}?{built['sources'][:12]}"
