"""The verbs that events can have."""

from activity.models import Verb
from activity.verbs import BUILT_IN


def known_verbs() -> list[str]:
    """Return the verbs that are built in and those that an admin registered. One query."""
    return [*BUILT_IN, *Verb.objects.order_by("name").values_list("name", flat=True)]
