"""A fault of contrast is found on a page whose looks axe has judged before."""

import pytest

from tests.browser.contrast import MARK_KNOWN
from tests.browser.visits import IN_BROWSER, assert_accessible, visit

pytestmark = IN_BROWSER

PLANTED = {
    "a light text": "label { color: #ddd !important }",
    "a dark text on dark": "html.dark label { color: #444 !important }",
    "a gray background": "label { background: #888 !important }",
    "a pale part of the page": "main, #page { opacity: 0.3 }",
}


def test_fault_among_known_looks_is_found(live_server, context):
    for what, rule in PLANTED.items():
        page, _ = visit(context, f"{live_server.url}/admin/login/")
        assert_accessible(page, "as it is")
        assert page.evaluate(MARK_KNOWN) == 0

        page.add_style_tag(content=rule)

        with pytest.raises(AssertionError, match="color-contrast"):
            assert_accessible(page, what)
        page.close()
