"""Save categories and templates."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from activity.access import COMMAND_LINE, Viewer, for_user, named
from activity.texts import a_few
from common.rows import create_or_change
from interventions.channels import CHANNELS
from interventions.models import (
    Cadence,
    CadenceStatus,
    Category,
    Channel,
    Delivery,
    DeliveryState,
    MessageTemplate,
    TemplateText,
)
from interventions.operations.errors import InterventionError
from interventions.queries.texts import DEFAULT_LOCALE
from interventions.render.liquid import TemplateError, check


@transaction.atomic
def save_category(key: str, *, name: str, **values: Any) -> Category:
    """Create or change a category. `values` are its other fields.

    Raise InterventionError if learners would get messages to which they had to agree before.
    """
    stored = Category.objects.filter(key=key).first()
    if stored is not None:
        check_opt_in(stored, needs_opt_in=values.get("needs_opt_in", stored.needs_opt_in))
    return create_or_change(Category.objects.all(), {"name": name, **values}, key=key)


@transaction.atomic
def save_template(
    key: str,
    *,
    name: str,
    category: Category,
    texts: Mapping[str, tuple[str, str]],
    channel: str = Channel.EMAIL,
) -> MessageTemplate:
    """Save a template. `texts` holds subject and body by locale, with English.

    Other texts than the present ones make a new version, and earlier versions are kept. Raise
    TemplateError if a text cannot be rendered for every learner, and InterventionError if English
    is missing, the channel would change, or a cadence sends it under its present category.
    """
    check_texts(texts, channel=channel)
    template, is_new = MessageTemplate.objects.get_or_create(
        key=key, defaults={"name": name, "category": category, "channel": channel}
    )
    if not is_new:
        template = MessageTemplate.objects.select_for_update(no_key=True).get(pk=template.pk)
        _check_channel(template, channel)
        check_category(template, category)
        # Somebody who saw no answer presses again, and then there is nothing new.
        has_new_texts = _texts_of(template, template.version) != dict(texts)
        template.name, template.category = name, category
        template.version += has_new_texts
        template.save(update_fields=["name", "category", "version"])
        if not has_new_texts:
            return template
    TemplateText.objects.bulk_create(
        TemplateText(
            template=template, version=template.version, locale=locale, subject=subject, body=body
        )
        for locale, (subject, body) in sorted(texts.items())
    )
    return template


@transaction.atomic
def restore_version(template_id: int, version: int) -> MessageTemplate:
    """Make a new version with the texts of an earlier one, and return the template.

    Nothing changes if the version has the present texts. Raise TemplateError if a text can no
    longer be used, and InterventionError if there is no such version.
    """
    template = MessageTemplate.objects.select_related("category").get(pk=template_id)
    texts = _texts_of(template, version)
    if not texts:
        raise InterventionError("There is no such version of the template.")
    return save_template(
        template.key,
        name=template.name,
        category=template.category,
        texts=texts,
        channel=template.channel,
    )


def _texts_of(template: MessageTemplate, version: int) -> dict[str, tuple[str, str]]:
    rows = TemplateText.objects.filter(template=template, version=version)
    return {
        locale: (subject, body)
        for locale, subject, body in rows.values_list("locale", "subject", "body")
    }


def check_texts(texts: Mapping[str, tuple[str, str]], *, channel: str = Channel.EMAIL) -> None:
    """Raise TemplateError or InterventionError with a sentence if the texts cannot be used."""
    if DEFAULT_LOCALE not in texts:
        raise InterventionError(
            "The template needs a text in English ('en') for learners whose language has no text."
        )
    for locale, (subject, body) in texts.items():
        _check(f"subject in '{locale}'", subject, is_html=False)
        _check(f"body in '{locale}'", body, is_html=True)
        with _naming(f"message in '{locale}'"):
            CHANNELS[channel].check(subject=subject, body=body)


def text_problems(subject: str, body: str, *, channel: str = Channel.EMAIL) -> dict[str, str]:
    """Return a sentence by field, "subject" or "body", for what no message can be made from."""
    found = {}
    for field, source in (("subject", subject), ("body", body)):
        try:
            check(source, html=field == "body")
        except TemplateError as error:
            found[field] = str(error)
    if not found:
        try:
            CHANNELS[channel].check(subject=subject, body=body)
        except TemplateError as error:
            found["body"] = str(error)
    return found


def check_category(
    template: MessageTemplate, category: Category, *, viewer: Viewer = COMMAND_LINE
) -> None:
    """Raise InterventionError if the template must stay in its category. Up to three queries.

    A cadence sends under its own category. Its learners would get a text of a kind that they may
    have refused, and its caps would not know of it. The refusal names only cadences that the viewer
    may see.
    """
    if template.category_id == category.pk:
        return
    advice = (
        f"Make a template of its own for “{category}”, or archive what sends this one and wait "
        "until no message with it waits."
    )
    users = Cadence.objects.exclude(status=CadenceStatus.ARCHIVED).filter(steps__template=template)
    if users.exists():
        seen = named(for_user(users.distinct(), viewer), viewer).order_by("name", "pk")
        which = a_few([f"“{each}”" for each in seen]) or "a cadence of another course"
        raise InterventionError(
            f"The template is sent under “{template.category}” by {which}. {advice}",
            field="category",
        )
    if Delivery.objects.filter(step__template=template, state=DeliveryState.PLANNED).exists():
        raise InterventionError(
            f"Messages with this template wait under “{template.category}”. {advice}",
            field="category",
        )


def check_opt_in(category: Category, *, needs_opt_in: bool) -> None:
    """Raise InterventionError if the stored category needs consent, is in use, and would not.

    Learners who never said anything would get these messages from then on. One query if so.
    """
    if needs_opt_in or not category.needs_opt_in:
        return
    if category.cadences.exclude(status=CadenceStatus.DRAFT).exists():
        raise InterventionError(
            f"Learners get “{category}” only if they agreed. Without the tick, also those get it "
            "who never said anything. Make a category of its own for messages that need no "
            "agreement.",
            field="needs_opt_in",
        )


def _check_channel(template: MessageTemplate, channel: str) -> None:
    # Planned messages go out on the channel of their plan, but with the newest text.
    if template.channel != channel:
        raise InterventionError(
            f"The template is for {template.get_channel_display()}. Choose another key."
        )


def _check(place: str, source: str, *, is_html: bool) -> None:
    if not source.strip():
        raise TemplateError(f"The {place} is empty.")
    with _naming(place):
        check(source, html=is_html)


@contextmanager
def _naming(place: str) -> Iterator[None]:
    try:
        yield
    except TemplateError as error:
        raise TemplateError(f"The {place}: {error}") from None
