"""Open a page in a real browser and find its faults. For the tests of this folder."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe

# The same engine without a window of its own takes half the processor time.
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
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
_WIDER = "document.documentElement.scrollWidth - window.innerWidth"


def sticks_out(page):
    """Return the number of pixels by which the page is wider than its window."""
    return page.evaluate(_WIDER)


def assert_fits(page, where):
    """Check that the page is no wider than its window, narrow or wide."""
    for window in (NARROW, WIDE):
        page.set_viewport_size(window)
        assert sticks_out(page) <= 0, where


# The admin looks at what the reader prefers only when a page loads.
_DARK = "dark => document.documentElement.classList.toggle('dark', dark)"
# Between light and dark only colors differ. The first look has left axe-core in the page.
_PALE = """async () => {
    const only = {runOnly: ["color-contrast"], resultTypes: ["violations"]};
    const found = await axe.run(document, only);
    return found.violations.flatMap(fault => fault.nodes.map(node => node.html));
}"""


def assert_accessible(page, where):
    """Check contrast (light and dark), landmarks, labels, roles and headings by axe-core."""
    show(page, "light")
    found = Axe().run(page)
    assert found.violations_count == 0, f"{where}: {found.generate_report()}"
    show(page, "dark")
    assert page.evaluate(_PALE) == [], f"{where} in dark"
    show(page, "light")


def show(page, scheme):
    """Show the page in light or dark, without loading it again."""
    page.emulate_media(color_scheme=scheme)
    page.evaluate(_DARK, scheme == "dark")
