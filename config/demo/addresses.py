"""Where the links of the demo's messages lead: pages that stand in for a learning platform."""

from django.conf import settings
from django.urls import reverse


def course_address() -> str:
    """Return the whole address of the demo course's page."""
    return f"{settings.BASE_URL}{reverse('demo-course')}"


def item_address(key: str) -> str:
    """Return the whole address of the page of one of its modules or items."""
    return f"{settings.BASE_URL}{reverse('demo-item', args=[key])}"
