"""What became of the mails of the last days, by provider and by the domain of the address."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import CharField, Count, F, Func, QuerySet, Value
from django.db.models.functions import Lower

from activity.access import Viewer, for_user
from interventions.models import Channel, Delivery, DeliveryState
from interventions.tracking.thresholds import Counts

DAYS = 30
# Most learners have an address at few domains.
MOST_DOMAINS = 50
# Up to so many lines of domains are added up here instead of being counted again.
MOST_LINES = 5_000
ACCEPTED = (
    DeliveryState.HANDED_OFF,
    DeliveryState.DELIVERED,
    DeliveryState.BOUNCED,
    DeliveryState.COMPLAINED,
)


@dataclass(frozen=True)
class Line:
    """The mails over one provider, or those to one domain over it. `provider` is empty for SMTP."""

    provider: str
    domain: str
    counts: Counts


@dataclass(frozen=True)
class Deliverability:
    """The lines of each provider, and those of the domains with the most mails."""

    providers: list[Line]
    domains: list[Line]


def deliverability(*, viewer: Viewer, now: datetime) -> Deliverability:
    """Return what became of the mails of the last 30 days. One query, two with many domains."""
    since = now - timedelta(days=DAYS)
    sent = Delivery.objects.filter(
        channel=Channel.EMAIL, claimed_at__gte=since, claimed_at__lte=now, state__in=ACCEPTED
    )
    rows = for_user(sent, viewer).annotate(
        provider=_part(F("provider_id"), ":", 1), domain=_part(Lower("address"), "@", -1)
    )
    lines = [_line(row) for row in _counted(rows, "provider", "domain")[:MOST_LINES]]
    is_all = len(lines) < MOST_LINES
    providers = _added_up(lines) if is_all else [_line(row) for row in _counted(rows, "provider")]
    return Deliverability(providers=providers, domains=lines[:MOST_DOMAINS])


def _added_up(lines: Iterable[Line]) -> list[Line]:
    sums: dict[str, Counts] = defaultdict(lambda: Counts(0))
    for line in lines:
        sums[line.provider] += line.counts
    found = [Line(provider, "", counts) for provider, counts in sums.items()]
    return sorted(found, key=lambda line: (-line.counts.accepted, line.provider))


def _part(text: Any, mark: str, place: int) -> Func:
    return Func(text, Value(mark), Value(place), function="split_part", output_field=CharField())


def _counted(rows: QuerySet[Delivery], *names: str) -> Any:
    """Return the counts by the names. Each message has one receipt or none."""
    return (
        rows.values(*names)
        .annotate(
            accepted=Count("pk"),
            delivered=Count("receipt__delivered_at"),
            soft_bounced=Count("receipt__soft_bounced_at"),
            hard_bounced=Count("receipt__hard_bounced_at"),
            complained=Count("receipt__complained_at"),
            opened=Count("receipt__opened_at"),
            clicked=Count("receipt__clicked_at"),
        )
        .order_by("-accepted", *names)
    )


def _line(row: Mapping[str, Any]) -> Line:
    counts = {name: value for name, value in row.items() if name not in ("provider", "domain")}
    return Line(row["provider"], row.get("domain", ""), Counts(**counts))
