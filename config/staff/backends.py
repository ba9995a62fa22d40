"""The login of staff by name and password. The public demo password works only locally."""

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from config.demo.login import DEMO_NAME, DEMO_PASSWORD, NEW_PASSWORD, comes_from_here

logger = logging.getLogger(__name__)


class StaffBackend(ModelBackend):
    """Names and passwords of the database. The demo login works only from the same machine."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user with the name and the password, or None.

        Raises PermissionDenied for the demo's login if other machines can reach the site.
        """
        # Checked here and not only at the start of the site: a proxy, another web server or
        # production settings could also use the demo's database.
        if (username, password) == (DEMO_NAME, DEMO_PASSWORD) and not _is_local(request):
            logger.warning(
                "Refused the login of demo, because its password is public. Set another with %s",
                NEW_PASSWORD,
            )
            raise PermissionDenied
        return super().authenticate(request, username=username, password=password, **kwargs)


def _is_local(request: HttpRequest | None) -> bool:
    return settings.DEMO_LOGIN and (request is None or comes_from_here(request.META))
