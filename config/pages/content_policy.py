"""The content security policy of pages: strict, but looser in the admin."""

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

# Scripts and styles of our own pages are in our own files. Pages of learners load no script.
OWN_PAGES: dict[str, list[str]] = {
    "default-src": [NONE],
    "script-src": [SELF],
    "connect-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "base-uri": [NONE],
}
# Unfold uses Alpine, which compiles code in attributes, so it needs 'unsafe-eval'. It also writes
# style attributes. Inline scripts, through which typed text could run, stay forbidden.
ADMIN: dict[str, list[str]] = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "font-src": [SELF],
    "connect-src": [SELF],
}
ADMIN_PATH = "/admin/"


class ContentPolicyMiddleware(CSPMiddleware):
    """Sends the policy of our own pages, or the looser policy of the admin."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """Return the policy for the path of the page."""
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(ADMIN_PATH):
            given: dict[str, Any] = parts.replace or {}
            parts.replace = ADMIN | given
        return parts
