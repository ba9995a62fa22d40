"""Save categories and templates."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from common.rows import create_or_change
from interventions.channels import CHANNELS
from interventions.models import Category, Channel, MessageTemplate, TemplateText
from interventions.operations.errors import InterventionError
from interventions.queries.texts import DEFAULT_LOCALE
from interventions.render.liquid import TemplateError, check


def save_category(key: str, *, name: str, **values: Any) -> Category:
    """Create or change a category. `values` are its other fields."""
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
    is missing or the channel would change.
    """
    check_texts(texts, channel=channel)
    template, is_new = MessageTemplate.objects.get_or_create(
        key=key, defaults={"name": name, "category": category, "channel": channel}
    )
    if not is_new:
        template = MessageTemplate.objects.select_for_update(no_key=True).get(pk=template.pk)
        _check_channel(template, channel)
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
