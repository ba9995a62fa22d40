"""Texts that the pages of segments and of their members share."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest

from segmentation.rules import describe
from segmentation.signals import SignalValue


def in_words(signals: dict[str, SignalValue]) -> list[str]:
    """Return each signal as a sentence with rounded numbers, in the order of their names."""
    return [describe(identity, value) for identity, value in sorted(signals.items())]


def user_of(request: HttpRequest) -> User:
    """Return the user of the request."""
    # The admin requires a login, but the type of the request does not say so.
    return cast("User", request.user)
