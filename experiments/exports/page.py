"""The page of a report as a file that needs no other file. Pure."""

import re

# Links to other pages of the site. Links within the page begin with #, and links do not nest.
_LINKS = re.compile(r'<a\s[^>]*href="/[^"]*"[^>]*>(.*?)</a>', re.DOTALL)
# Words about a link for those who hear the page.
_ABOUT = re.compile(r'<span class="unseen">[^<]*</span>')
_BACK = re.compile(r'<p class="[^"]*\bback\b[^"]*">.*?</p>\s*', re.DOTALL)


def alone(page: str) -> str:
    """Return the page without the links that work only on the site. Their texts stay."""
    return _LINKS.sub(lambda link: _ABOUT.sub("", link[1]), _BACK.sub("", page))
