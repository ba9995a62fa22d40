"""The admin as an app whose pages are loaded with the URLs of the site (config/urls.py)."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

from config.pages.zone_names import name_every_zone


class AdminConfig(apps.SimpleAdminConfig):
    """The admin without its pages. Programs that answer no request start faster without them."""

    default = False
    default_site = "config.pages.site.Site"

    def ready(self) -> None:
        """Register the checks of the admin, and let its times name their zone."""
        name_every_zone()
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(
    app_configs: Sequence[AppConfig] | None, **options: Any
) -> Sequence[checks.CheckMessage]:
    """Check the pages of the admin, and load them first: checks run in any order."""
    import_module(settings.ROOT_URLCONF)
    found: Sequence[checks.CheckMessage] = check_admin_app(app_configs, **options)
    return found
