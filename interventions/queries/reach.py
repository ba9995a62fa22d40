"""What keeps every message from a learner, apart from pauses and limits."""

from dataclasses import dataclass
from datetime import datetime

from activity.models import Learner
from common.addresses import comparable
from interventions.channels import CHANNELS
from interventions.models import Category, Suppression
from interventions.policy.consent import is_wanted
from interventions.policy.decision import Reason
from interventions.queries.preferences import statements_of


@dataclass(frozen=True)
class Barrier:
    """The reason, and since when it has been so, if that is known."""

    reason: Reason
    since: datetime | None = None


def barrier_of(learner: Learner) -> Barrier | None:
    """Return why no mail can reach the learner, or None. At most three queries."""
    mail = [each for each in CHANNELS.values() if each.is_mail]
    addresses = [address for each in mail if (address := each.address(learner))]
    if not addresses:
        return Barrier(Reason.NO_ADDRESS)
    spellings = [comparable(address) for address in addresses]
    found = list(Suppression.objects.filter(address__in=spellings))
    if len(found) == len(set(spellings)):
        return Barrier(Reason.SUPPRESSED, max(each.created_at for each in found))
    statements = statements_of(learner.pk, comparable(learner.email or ""))
    refused = [each.at for each in statements if not each.wants]
    wanted = (
        is_wanted(each.pk, statements, needs_opt_in=each.needs_opt_in)
        for each in Category.objects.all()
    )
    return Barrier(Reason.OPTED_OUT, max(refused)) if refused and not any(wanted) else None
