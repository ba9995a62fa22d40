"""Failed logins on the real login page are logged and locked out for a while."""

import re
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import F

from config.staff.lockout import client_address

LIMIT, ADDRESS_LIMIT = settings.AXES_FAILURE_LIMIT, settings.ADDRESS_FAILURE_LIMIT
LOCKED_FOR = settings.AXES_COOLOFF_TIME
PAGE = "/admin/login/"
PASSWORD = "the right password"
HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ana():
    return get_user_model().objects.create_superuser("ana", password=PASSWORD)


def log_in(client, *, name="ana", password=PASSWORD, at=HERE, **headers):
    """Return the status of a login: 302 for success, 200 for a failure, 429 for a lockout."""
    form = {"username": name, "password": password}
    return client.post(PAGE, form, REMOTE_ADDR=at, headers=headers)


def fail(client, times, *, name="ana", at=HERE):
    return [
        log_in(client, name=name, password=f"wrong {n}", at=at).status_code for n in range(times)
    ]


def test_fifth_failure_locks_the_name_at_that_address_only(client):
    assert fail(client, LIMIT) == [200] * (LIMIT - 1) + [429]
    assert log_in(client).status_code == 429

    assert log_in(client, at=ELSEWHERE).status_code == 302


def test_locked_out_page_explains_what_to_do(client):
    fail(client, LIMIT)
    page = log_in(client)

    assert page.status_code == 429
    assert page["Retry-After"] == "900"
    text = page.content.decode()
    assert "are blocked for 15 minutes after the last failed login" in text
    assert 'href="/static/site.css"' in text
    # The login page itself stays available.
    assert client.get(PAGE, REMOTE_ADDR=HERE).status_code == 200


def test_a_lock_ends_after_its_time_and_further_tries_do_not_extend_it(client):
    fail(client, LIMIT)
    first = AccessAttempt.objects.get().attempt_time
    fail(client, 3)
    assert AccessAttempt.objects.get().attempt_time == first

    AccessAttempt.objects.update(attempt_time=F("attempt_time") - LOCKED_FOR - timedelta(seconds=1))
    assert log_in(client).status_code == 302


def test_a_successful_login_clears_earlier_failures(client):
    fail(client, LIMIT - 1)
    assert log_in(client).status_code == 302

    assert fail(client, LIMIT - 1) == [200] * (LIMIT - 1)


@pytest.mark.slow
def test_an_address_that_tries_many_names_is_locked_for_all(client):
    for number in range(ADDRESS_LIMIT // (LIMIT - 1)):
        fail(client, LIMIT - 1, name=f"guess {number}")
    # A successful login with another name does not help the attacker.
    assert log_in(client).status_code == 302
    fail(client, ADDRESS_LIMIT % (LIMIT - 1), name="one more")

    assert log_in(client).status_code == 429
    assert log_in(client, at=ELSEWHERE).status_code == 302


def test_failure_is_logged_with_name_and_address_and_without_the_password(client, caplog):
    log_in(client, password="secret-one")
    log_in(client, name="secret-two", password="secret-three")
    fail(client, LIMIT)

    assert "login failure by 'ana' from 198.51.100.7" in caplog.text
    assert "login failure by a name that no account has from 198.51.100.7" in caplog.text
    assert "Locking out 'ana' from 198.51.100.7" in caplog.text
    assert "secret" not in caplog.text
    stored = AccessAttempt.objects.values_list("get_data", "post_data")
    assert not re.search("secret|wrong", str(list(stored)))


@pytest.mark.parametrize(
    ("proxies", "at", "forwarded", "expected"),
    [
        (0, HERE, "1.2.3.4", HERE),
        (1, "10.0.0.1", HERE, HERE),
        (1, "10.0.0.1", f"1.2.3.4, {HERE}", HERE),
        (2, "10.0.0.1", f"1.2.3.4, {HERE}, 10.0.0.2", HERE),
        (2, "10.0.0.1", HERE, "10.0.0.1"),
        (1, "10.0.0.1", "", "10.0.0.1"),
        (1, "10.0.0.1", "nonsense", "10.0.0.1"),
        (0, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"),
        (0, "::ffff:198.51.100.7", "", HERE),
        (0, "", "", None),
    ],
)
def test_the_client_address_comes_from_trusted_proxies(
    rf, settings, proxies, at, forwarded, expected
):
    settings.TRUSTED_PROXIES = proxies
    request = rf.post(PAGE, REMOTE_ADDR=at, headers={"x-forwarded-for": forwarded})

    assert client_address(request) == expected


def test_a_client_behind_a_proxy_cannot_forge_its_address(client, settings):
    settings.TRUSTED_PROXIES = 1
    for number in range(LIMIT):
        log_in(
            client,
            password="wrong",
            at="10.0.0.1",
            **{"x-forwarded-for": f"1.2.3.{number}, {HERE}"},
        )

    last = {"x-forwarded-for": f"9.9.9.9, {HERE}"}
    assert log_in(client, at="10.0.0.1", **last).status_code == 429
    other = {"x-forwarded-for": ELSEWHERE}
    assert log_in(client, at="10.0.0.1", **other).status_code == 302


def test_strange_logins_are_answered(client):
    for name in ("", "a" * 400, "a\nb", "\ud800", "a\0b"):
        form = {"username": name.encode("utf-8", "surrogatepass"), "password": "x"}
        answer = client.post(
            f"{PAGE}?next=%00", form, REMOTE_ADDR="", headers={"user-agent": "\u00e9" * 999}
        )
        assert answer.status_code in (200, 400)
