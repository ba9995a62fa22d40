"""How staff log in: by name and password, except by the password that everybody knows."""

import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from config.demo.login import DEMO_NAME, DEMO_PASSWORD, NEW_PASSWORD, comes_from_here

logger = logging.getLogger(__name__)


class StaffBackend(ModelBackend):
    """Names and passwords of the database; the demo's own opens only a local copy from itself."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user of the name and the password, or None.

        Raises PermissionDenied for the demo's login where others can reach the site.
        """
        # Decided here and not when the site starts: a proxy, another web server or production
        # settings over a demo's database open the same door.
        if (username, password) == (DEMO_NAME, DEMO_PASSWORD) and not _is_local(request):
            logger.warning(
                "Refused the login of demo: everybody knows its password. Set another with %s",
                NEW_PASSWORD,
            )
            raise PermissionDenied
        return super().authenticate(request, username=username, password=password, **kwargs)


def _is_local(request: HttpRequest | None) -> bool:
    return settings.DEMO_LOGIN and (request is None or comes_from_here(request.META))
