"""The button that tries unsaved limits on the messages of the last 30 days."""

from collections.abc import Callable
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from activity.admin import KeptAdmin
from common.clock import utc_now
from interventions.queries.limits import Limits, read_limits
from interventions.queries.what_if import MOST_MESSAGES, what_if

NEW = "new"


class TriedAdmin(KeptAdmin):
    """A page of a limit with a button that says what the typed values would have done."""

    change_form_after_template = "interventions/what_if_button.html"
    # The function that returns the limits in force if the row were saved as it is.
    limits_with: Callable[[Any], Limits]

    def get_urls(self) -> list[Any]:
        """Return also the address to which the button posts."""
        tried = self.admin_site.admin_view(never_cache(require_POST(self.tried)))
        name = f"{self.opts.app_label}_{self.opts.model_name}_try"
        return [path("<path:object_id>/try/", tried, name=name), *super().get_urls()]

    def tried(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the typed values would have done to the messages of the last 30 days."""
        row = None if object_id == NEW else self.get_object(request, unquote(object_id))
        if row is None and object_id != NEW:
            raise Http404
        may = self.has_change_permission(request, row) if row else self.has_add_permission(request)
        if not may:
            raise PermissionDenied
        form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
        shown: dict[str, Any] = {"form": form, "most": MOST_MESSAGES}
        if form.is_valid():
            limits = self.limits_with(form.instance)
            found = what_if(read_limits(), limits, viewer=request.user, now=utc_now())
            shown["found"] = found
        is_part = "HX-Request" in request.headers
        template = "what_if.html" if is_part else "what_if_page.html"
        context = {**self.admin_site.each_context(request), "title": "Last 30 days", **shown}
        return TemplateResponse(request, f"interventions/{template}", context)
