"""What a page may load and run, as its browser is told: strict, looser where the admin needs it."""

from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

# Our own pages run no script at all, and what they look like stands in files of ours.
OWN_PAGES: dict[str, list[str]] = {
    "default-src": [NONE],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "base-uri": [NONE],
}
# Unfold is built on Alpine, which compiles what stands in attributes: it needs 'unsafe-eval', and
# writes style attributes. Scripts in the page itself, where what somebody typed could become one,
# run here no more than elsewhere.
ADMIN: dict[str, list[str]] = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
    "font-src": [SELF],
    "connect-src": [SELF],
}
ADMIN_PATH = "/admin/"


class ContentPolicyMiddleware(CSPMiddleware):
    """Sends the policy of our own pages, or with what the admin's look needs."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """Return the policy by the address of the page."""
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(ADMIN_PATH):
            given: dict[str, Any] = parts.replace or {}
            parts.replace = ADMIN | given
        return parts
