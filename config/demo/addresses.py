"""Addresses of the demo's pages, to which the links in its messages lead."""

from django.conf import settings
from django.urls import reverse


def course_address() -> str:
    """Return the full address of the demo course's page."""
    return f"{settings.BASE_URL}{reverse('demo-course')}"


def item_address(key: str) -> str:
    """Return the full address of the page of a module or item."""
    return f"{settings.BASE_URL}{reverse('demo-item', args=[key])}"
