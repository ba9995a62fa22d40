"""The messages of a shipped playbook: templates and cadences, made as drafts."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from common.rows import free_key
from interventions.models import (
    Cadence,
    CadenceStatus,
    Category,
    Channel,
    MessageTemplate,
    Reentry,
)
from interventions.operations.cadence_checks import StepFields
from interventions.operations.cadences import CadenceFields, lock_keys, save_cadence
from interventions.operations.templates import save_template
from interventions.policy.durations import parse_delay, parse_duration
from interventions.policy.guards import CATEGORIES
from segmentation.models import Playbook, Segment

_FOLDER = Path(__file__).resolve().parents[1]
_ACTIONS = _FOLDER / "actions.toml"
_TEXTS = _FOLDER / "texts"


def shipped_actions() -> list[dict[str, Any]]:
    """Return the shipped actions in the shape of their file, each for the key of a segment."""
    actions: list[dict[str, Any]] = tomllib.loads(_ACTIONS.read_text(encoding="utf-8"))["action"]
    return actions


def shipped_text(key: str) -> dict[str, Any]:
    """Return the shipped text: its name, by locale its subject and body, and its channel.

    Without a channel it is a mail.
    """
    return tomllib.loads((_TEXTS / f"{key}.toml").read_text(encoding="utf-8"))


def shipped_texts(key: str) -> dict[str, tuple[str, str]]:
    """Return the subject and body of the shipped text by locale."""
    return {
        locale: (text["subject"], text["body"].strip())
        for locale, text in shipped_text(key).items()
        if isinstance(text, dict)
    }


@transaction.atomic
def install_actions(playbook: Playbook) -> list[Cadence]:
    """Make the missing cadences of the playbook's segments as drafts, and return those made.

    Cadences and templates that exist stay as they are, because staff may have edited them. A draft
    messages nobody before somebody activates it.
    """
    # Of two installations at once, the second finds the cadences of the first.
    lock_keys()
    segments = {segment.key: segment for segment in playbook.segments.all()}
    return [*_missing(playbook, segments)]


def _missing(playbook: Playbook, segments: Mapping[str, Segment]) -> Iterator[Cadence]:
    for action in shipped_actions():
        # Each playbook has cadences of its own. The number keeps a long key of a playbook whole.
        key = f"{action['key']}-{playbook.pk}"
        segment = segments.get(action["segment"])
        if segment is not None and not Cadence.objects.filter(key=key).exists():
            yield _save(key, action, segment)


def _save(key: str, action: Mapping[str, Any], segment: Segment) -> Cadence:
    category = _category(action["category"])
    fields = CadenceFields(
        name=action["name"],
        category=category,
        segment=segment,
        priority=action["priority"],
        why_now=action["why_now"],
        reentry=Reentry.COOLDOWN,
        cooldown=parse_duration(action["pause_before_again"]),
        goal_rule=action.get("goal"),
        status=CadenceStatus.DRAFT,
    )
    template = partial(_template, category)
    steps = [_step(step, template(step["text"])) for step in action["steps"]]
    return save_cadence(key, fields=fields, steps=steps)


def _step(step: Mapping[str, Any], template: MessageTemplate) -> StepFields:
    return StepFields(
        template,
        parse_delay(step["delay"]),
        step.get("condition"),
        then=step.get("then"),
        otherwise=step.get("otherwise"),
    )


def _template(category: Category, key: str) -> MessageTemplate:
    found = MessageTemplate.objects.filter(key=key, category=category).first()
    return found or _save_template(key, category)


def _save_template(key: str, category: Category) -> MessageTemplate:
    shape = shipped_text(key)
    # Staff may have given the key to a template of another kind, which must stay as it is.
    free = free_key(MessageTemplate.objects.all(), key, fallback=key)
    name, channel = shape["name"], shape.get("channel", Channel.EMAIL)
    return save_template(
        free, name=name, category=category, texts=shipped_texts(key), channel=channel
    )


def _category(key: str) -> Category:
    shipped = {category["key"]: category for category in CATEGORIES}
    return Category.objects.get_or_create(key=key, defaults=shipped[key])[0]
