"""Admin page of holdouts."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from activity.admin import KeptAdmin, viewer_of
from common.clock import utc_now
from interventions import models
from interventions.forms import HoldoutForm
from interventions.queries.holdouts import held_out_by_course

_LINE = "<div>{}: {} of {} learners receive no messages.</div>"


@admin.register(models.Holdout)
class HoldoutAdmin(KeptAdmin):
    """Holdouts. Once one has begun, only its end and its name can be changed."""

    form = HoldoutForm
    list_display = ("name", "shown_meaning", "starts_at", "ends_at")
    list_select_related = ("course",)
    autocomplete_fields = ("course",)
    fields = ("name", "course", "share", "starts_at", "ends_at", "seed")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        """Return the fields, for a saved holdout with its learners."""
        return ("shown_learners", *self.fields) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        """Return the fields that are fixed: after the beginning, all that the draw depends on."""
        if obj is None:
            return ()
        begun, over = obj.starts_at <= utc_now(), obj.ends_at and obj.ends_at <= utc_now()
        fixed = ("course", "share", "starts_at", "seed") if begun else ()
        return ("shown_learners", *fixed, *(("ends_at",) if over else ()))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return now as the beginning of a new holdout."""
        return {"starts_at": utc_now()} | super().get_changeform_initial_data(request)

    @display(description="Meaning")
    def shown_meaning(self, holdout: models.Holdout) -> str:
        """Return the holdout as a sentence."""
        return holdout.sentence

    @display(description="Learners")
    def shown_learners(self, holdout: models.Holdout) -> SafeString | str:
        """Return for each course how many of its learners are held out."""
        found = held_out_by_course(holdout, viewer=viewer_of(holdout))
        rows = ((each.course, f"{each.held_out:,}", f"{each.learners:,}") for each in found)
        return format_html_join("", _LINE, rows) or "None of your courses has learners yet."
