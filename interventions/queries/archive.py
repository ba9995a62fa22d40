"""The archive of old messages, as the pages of staff show it."""

from datetime import datetime

from activity.access import Viewer, for_user
from common.archive import Month, months_of
from interventions.models import ArchivedDelivery

# Nothing younger than this is in the archive. The pages about the last 30 days read only the
# ledger, and so do the reports of providers.
FEWEST_DAYS = 60


def newest_archived(*, viewer: Viewer) -> datetime | None:
    """Return when the newest message in the archive ended: all later ones are in the ledger.

    One query.
    """
    # Not the maximum: for a user of a few courses that would read all of theirs.
    rows = for_user(ArchivedDelivery.objects.all(), viewer).order_by("-finished_at", "-id")
    return rows.values_list("finished_at", flat=True).first()


def archived_months() -> list[Month]:
    """Return the months of the archive, the newest first. One query."""
    return months_of(ArchivedDelivery._meta.db_table)[::-1]
