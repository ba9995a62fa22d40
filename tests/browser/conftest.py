"""Fixtures of the browser tests: one browser, and a context in which staff is logged in."""

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import sync_playwright

from tests.browser.visits import ARGUMENTS, CHROMIUM
from tests.processes import SECONDS_TO_FINISH


@pytest.fixture(scope="session", autouse=True)
def database_outlives_the_server(django_db_setup):
    """Create the database first, so that it is dropped after the server has disconnected."""


@pytest.fixture(scope="session")
def browser():
    # The browser's driver runs an event loop in this thread. Django then refuses synchronous
    # database calls unless this variable is set, also in tests of other folders that run later.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def context(browser):
    """Return a new browser context."""
    with browser.new_context() as context:
        # A busy machine can be slow.
        context.set_default_timeout(1000 * SECONDS_TO_FINISH)
        yield context


@pytest.fixture
def staff_context(context, client, live_server):
    """Return a browser context in which a member of staff is logged in."""
    client.force_login(get_user_model().objects.create_superuser("staff"))
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    return context
