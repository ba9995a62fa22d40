"""The providers that may report on messages, and how each proves that a report is its own."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from config.env import FALSE_WORDS, TRUE_WORDS, SettingsError

PREFIX = "ANYMAIL_"
LOGIN = f"{PREFIX}WEBHOOK_SECRET"
SHORTEST_PASSWORD = 20
_TRACKING = "anymail.webhooks.{module}.{name}TrackingWebhookView"


@dataclass(frozen=True)
class Provider:
    """A provider: its view, and the variable with the key that signs, or empty for a login.

    A login is a name and a password in the address that is entered at the provider.
    """

    view: str
    key: str = ""


def _tracking(module: str, name: str, *, key: str = "") -> Provider:
    return Provider(_TRACKING.format(module=module, name=name), key and PREFIX + key)


PROVIDERS: Mapping[str, Provider] = {
    "amazon_ses": Provider("interventions.views.amazon_ses.AmazonSesWebhookView"),
    "brevo": _tracking("brevo", "Brevo"),
    "mailersend": _tracking("mailersend", "MailerSend", key="MAILERSEND_SIGNING_SECRET"),
    "mailgun": _tracking("mailgun", "Mailgun", key="MAILGUN_WEBHOOK_SIGNING_KEY"),
    "mailjet": _tracking("mailjet", "Mailjet"),
    "mailtrap": _tracking("mailtrap", "Mailtrap", key="MAILTRAP_TRACKING_SECRET"),
    "mandrill": Provider(
        "anymail.webhooks.mandrill.MandrillCombinedWebhookView", f"{PREFIX}MANDRILL_WEBHOOK_KEY"
    ),
    "postmark": _tracking("postmark", "Postmark"),
    "resend": _tracking("resend", "Resend"),
    "sendgrid": _tracking("sendgrid", "SendGrid"),
    "sparkpost": _tracking("sparkpost", "SparkPost"),
    "unisender_go": _tracking("unisender_go", "UnisenderGo", key="UNISENDER_GO_API_KEY"),
}


def anymail_settings() -> dict[str, Any]:
    """Return all variables that begin with ANYMAIL_, under the names that anymail gives them."""
    found = {name: value.strip() for name, value in os.environ.items() if name.startswith(PREFIX)}
    return {name.removeprefix(PREFIX): _typed(value) for name, value in found.items() if value}


def webhook_views(names: Iterable[str]) -> dict[str, str]:
    """Return the view of each of the providers by name. Raise SettingsError without its secret."""
    views = {}
    for name in names:
        provider = PROVIDERS.get(name)
        if provider is None:
            known = ", ".join(PROVIDERS)
            raise SettingsError(f"EMAIL_WEBHOOKS names {name!r}. It knows {known}.")
        _check_secret(name, provider)
        views[name] = provider.view
    return views


def _typed(value: str) -> str | bool:
    # Some settings of anymail are switches, and every text is true.
    word = value.lower()
    if word.isdigit():
        return value
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else value


def _check_secret(name: str, provider: Provider) -> None:
    variable = provider.key or LOGIN
    given = os.environ.get(variable, "").strip()
    if not given:
        raise SettingsError(
            f"EMAIL_WEBHOOKS names {name}, but {variable} is not set. Without it anybody could "
            "report bounces and complaints. Set this environment variable and start again."
        )
    user, _, password = given.partition(":")
    if not provider.key and (not user or len(password) < SHORTEST_PASSWORD):
        raise SettingsError(
            f"{variable} must be a name, a colon and a password of {SHORTEST_PASSWORD} or more "
            "characters, such as the output of: "
            "python3 -c 'import secrets; print(\"hook:\" + secrets.token_urlsafe(32))'"
        )
