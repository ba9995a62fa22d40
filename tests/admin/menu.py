"""Pages of the admin without their menu, which is half of the work of each."""

import pytest
from django.contrib import admin


def leave_out_menu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no page show the menu. A test that does so leaves the menu to another one."""
    monkeypatch.setattr(admin.site, "get_sidebar_list", lambda request: [])
    monkeypatch.setattr(admin.site, "get_app_list", lambda request, app_label=None: [])
