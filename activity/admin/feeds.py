"""Admin pages of the numbers by which feeds are judged."""

from django.contrib import admin

from activity import models
from activity.admin.bases import ReadOnlyAdmin


@admin.register(models.Feed)
class FeedAdmin(ReadOnlyAdmin):
    """The state of each course's feed, and since when."""

    list_display = ("course", "state", "since", "measured_at", "trusted_until", "trusted_by")
    list_select_related = ("course",)
    list_filter = ("state",)


@admin.register(models.FeedHold)
class FeedHoldAdmin(ReadOnlyAdmin):
    """For which times the feed of each course held what depends on it."""

    list_display = ("course", "since", "noted_at", "ended_at")
    list_select_related = ("course",)


@admin.register(models.FeedHour)
class FeedHourAdmin(ReadOnlyAdmin):
    """The acts of each course that were received in an hour."""

    list_display = ("course", "hour_at", "verb", "events", "with_item", "with_score", "last_at")
    list_select_related = ("course",)


@admin.register(models.FeedCursor)
class FeedCursorAdmin(ReadOnlyAdmin):
    """Up to which event the hours are counted."""

    list_display = ("event_id",)
