"""Open a page in a real browser and find its faults. For the tests of this folder."""

import shutil

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults

from tests.browser.contrast import KEEP_NEW, MARK_KNOWN

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
    # A page lives for a second: code made faster for it and memory tidied meanwhile are never used.
    "--js-flags=--no-opt,--no-maglev,--min-semi-space-size=64,--max-semi-space-size=64",
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
    page, faults = _new_tab(context)
    _load(page, address, window, faults)
    return page, faults


def visit_in_turn(context, addresses, window=WIDE):
    """Open the pages one after the other, and yield each address, its page and its errors.

    All in one tab: another one is another process, and takes longer to start than a page to load.
    """
    page, faults = _new_tab(context)
    for address in addresses:
        faults.clear()
        _load(page, address, window, faults)
        yield address, page, faults


def _new_tab(context):
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    page.on(
        "console",
        # A breach of the content policy is an error on the console too.
        lambda line: faults.append(f"{page.url}: {line.text}") if line.type == "error" else None,
    )
    return page, faults


def _load(page, address, window, faults):
    page.set_viewport_size(window)
    response = page.goto(address, wait_until="load")
    if response is None or response.status != 200:
        faults.append(f"{address}: status {response and response.status}")


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


# Only faults leave the browser: to hand over all that is right takes as long as to look at it.
_LOOK = f"""async options => {{
    const types = ["violations", "incomplete"];
    const found = await axe.run(document, {{resultTypes: types, elementRef: true, ...options}});
    ({KEEP_NEW})(found.incomplete);
    for (const node of found.violations.flatMap(rule => rule.nodes)) delete node.element;
    return {{violations: found.violations}};
}}"""
_LEAVE_OUT_KNOWN = """axe.configure({
    rules: [{id: "color-contrast", selector: "*:not([data-known-look])"}],
})"""
# Between light and dark only colors differ.
_COLORS = {"runOnly": ["color-contrast"]}


def assert_accessible(page, where):
    """Check contrast (light and dark), landmarks, labels, roles and headings by axe-core.

    A page that was light is left dark, and one that was dark light.
    """
    page.evaluate(AXE_SCRIPT)
    page.evaluate(_LEAVE_OUT_KNOWN)
    was_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.evaluate(MARK_KNOWN)
    _assert_no_fault(page, where, {})
    _show(page, dark=not was_dark)
    if page.evaluate(MARK_KNOWN):
        _assert_no_fault(page, f"{where} in the other scheme", _COLORS)


def _assert_no_fault(page, where, options):
    found = page.evaluate(_LOOK, options)
    assert found["violations"] == [], f"{where}: {AxeResults(found).generate_report()}"


# The admin looks at what the reader prefers only when a page loads. Colors that fade into others
# are seen as they end.
_DARK = """dark => {
    document.documentElement.classList.toggle("dark", dark);
    for (const one of document.getAnimations()) {
        if (one instanceof CSSTransition) one.finish();
    }
}"""


def _show(page, *, dark):
    """Show the page in dark or light, without loading it again."""
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.evaluate(_DARK, dark)
