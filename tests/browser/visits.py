"""Open a page in a real browser and find its faults. For the tests of this folder."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium")
# The browser must not make requests of its own or show anything that disturbs a test.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 380, "height": 844}

# The marks of every file of browser tests.
IN_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.django_db(transaction=True),
]


def visit(context, address, window=WIDE):
    """Open the page and return it with its errors."""
    page = context.new_page()
    page.set_viewport_size(window)
    faults = []
    page.on("pageerror", lambda error: faults.append(f"{address}: {error}"))
    page.on(
        "console",
        # A breach of the content policy is an error on the console too.
        lambda line: faults.append(f"{address}: {line.text}") if line.type == "error" else None,
    )
    response = page.goto(address, wait_until="load")
    if response is None or response.status != 200:
        faults.append(f"{address}: status {response and response.status}")
    return page, faults


# By how many pixels the page is wider than its window.
WIDER = "document.documentElement.scrollWidth - window.innerWidth"


def sticks_out(page):
    """Return the number of pixels by which the page is wider than its window, light or dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found.append(page.evaluate(WIDER))
    return max(found)
