"""Install a shipped playbook with everything that its messages need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from interventions.models import Cadence
from interventions.operations.actions import install_actions
from interventions.operations.limits import make_missing_guards
from segmentation.models import Playbook
from segmentation.operations import install_playbook


@dataclass(frozen=True)
class Installed:
    """An installed playbook, the names of the guards made with it, and the drafts of messages."""

    playbook: Playbook
    guards: list[str]
    drafts: list[Cadence]


@transaction.atomic
def install_guarded(
    name: str, *, now: datetime, course_keys: Sequence[str] | None, key: str | None = None
) -> Installed:
    """Install a shipped playbook, the missing guards and drafts of its messages, all or nothing.

    The arguments are those of `install_playbook`, which may raise SegmentationError.
    """
    playbook = install_playbook(name, now=now, course_keys=course_keys, key=key)
    # The guards come first, because the drafts make missing categories, and a site without any is
    # to get all of them.
    guards = make_missing_guards()
    return Installed(playbook, guards, install_actions(playbook))
