"""Buttons on the page of one row, which carry out an action of its list on this row alone."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path

from activity.admin.bases import LinkedAdmin
from common.admin import page_url


@dataclass(frozen=True)
class Button:
    """The name of an action of the list, the text of its button, and what happens then."""

    action: str
    text: str
    consequence: str


class ButtonsAdmin(LinkedAdmin):
    """A page with the actions that its user may carry out on the row in its present state."""

    change_form_outer_before_template = "admin/row_buttons.html"

    def buttons(self, request: HttpRequest, row: Any) -> list[Button]:
        """Return the actions that the user may carry out on the row now."""
        raise NotImplementedError

    def get_urls(self) -> list[Any]:
        """Return also the address to which the buttons post."""
        press = self.admin_site.admin_view(self.press)
        name = f"{self.opts.app_label}_{self.opts.model_name}_press"
        return [path("<path:object_id>/press/<str:action>/", press, name=name), *super().get_urls()]

    def press(self, request: HttpRequest, object_id: str, action: str) -> HttpResponse:
        """Carry out the action on the row, if it is offered. An action may ask first."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if request.method != "POST":
            # The way back from a page on which an action asks first.
            return redirect(page_url(row))
        offered = [button.action for button in self.buttons(request, row)]
        if action not in offered:
            # Two people may press at once, and the rights of a user may have changed.
            messages.warning(request, "Nothing was done: this page no longer offers that.")
            return redirect(page_url(row))
        chosen = self.get_queryset(request).filter(pk=row.pk)
        response: HttpResponse | None = getattr(self, action)(request, chosen)
        return response or redirect(page_url(row))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the buttons to the context of the page."""
        row = context.get("original")
        context["buttons"] = self.buttons(request, row) if row is not None else []
        return super().render_change_form(request, context, *args, **kwargs)
