"""Name the parts of the admin's pages for screen readers."""

from django import template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

# Beginnings of elements of unfold's pages, and the roles that they lack.
_ROLES = {
    '<div id="nav-sidebar" ': '<div id="nav-sidebar" role="navigation" aria-label="Menu" ',
    '<div id="main" ': '<div id="main" role="main" ',
}
_WHOLE = {'<div id="page" ': '<div id="page" role="main" '}


@register.filter
def with_landmarks(page: SafeString) -> SafeString:
    """Return the page with its menu and its main part named. A page without a menu is all main."""
    roles = _ROLES if '<div id="main" ' in page else _WHOLE
    text = str(page)
    for plain, named in roles.items():
        text = text.replace(plain, named, 1)
    # Only attributes of the template's own elements were added.
    return mark_safe(text)  # noqa: S308
