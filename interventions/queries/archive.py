"""The archive of old messages, as the pages of staff show it."""

from datetime import date, datetime, timedelta

from django.conf import settings

from common.archive import Month, month_of, months_of
from interventions.models import ArchivedDelivery

# Nothing younger than this is in the archive. The pages about the last 30 days read only the
# ledger, and so do the reports of providers.
FEWEST_DAYS = 60
# More would be before the first instant that Python knows.
MOST_DAYS = 36_500


def days_of_ledger() -> int | None:
    """Return for how many days ended messages stay in the ledger. None: for ever."""
    if not settings.LEDGER_DAYS:
        return None
    return min(max(settings.LEDGER_DAYS, FEWEST_DAYS), MOST_DAYS)


def kept_since(*, now: datetime) -> datetime | None:
    """Return the instant since which all messages that ended are stored. None: all ever are."""
    if not settings.ARCHIVE_MONTHS:
        return None
    month = month_of(now).plus(-settings.ARCHIVE_MONTHS).begins_at
    days = days_of_ledger()
    # Months are only dropped from the archive, so what is still in the ledger is not missing.
    return month if days is None else min(month, now - timedelta(days=days))


def complete_since() -> date | None:
    """Return a day since which the ledger has all messages that ended, in any time zone.

    None: the archive is empty. It is the same day for all users. One query.
    """
    # For a user of few courses, the newest of theirs could only be found by reading all others.
    rows = ArchivedDelivery.objects.order_by("-finished_at", "-id")
    newest = rows.values_list("finished_at", flat=True).first()
    # Where the day begins first, it is at most one day later than in UTC.
    return (newest + timedelta(days=2)).date() if newest else None


def archived_months() -> list[Month]:
    """Return the months of the archive, the newest first. One query."""
    return months_of(ArchivedDelivery._meta.db_table)[::-1]
