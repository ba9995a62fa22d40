"""Keep messages as they are sent. Called in the transaction of the claim."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from common.database import preparing_cursor
from common.json_text import as_rows
from common.stored_text import without_nul
from interventions.channels import Shown
from interventions.render.shell import shells

MAX_LINE = 998

# A page is sent along each time, because a process cannot know whether the transaction in which it
# stored one was rolled back, or whether the database was emptied.
_KEEP = """
WITH page AS (
    INSERT INTO interventions_sentpage (digest, pieces)
    SELECT * FROM jsonb_each(%(pages)s::jsonb) AS one (digest, pieces)
    WHERE NOT EXISTS (
        SELECT FROM interventions_sentpage AS known WHERE known.digest = one.digest
    )
    ORDER BY one.digest
    ON CONFLICT DO NOTHING
)
INSERT INTO interventions_sentmessage
    (delivery_id, subject, page_id, fillings, text, locale, sender, reply_to)
SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS one (
    delivery_id bigint, subject text, page_id text, fillings jsonb, text text, locale text,
    sender text, reply_to text
)
ON CONFLICT (delivery_id) DO UPDATE
SET subject = EXCLUDED.subject, page_id = EXCLUDED.page_id, fillings = EXCLUDED.fillings,
    text = EXCLUDED.text, locale = EXCLUDED.locale, sender = EXCLUDED.sender,
    reply_to = EXCLUDED.reply_to
"""


@dataclass(frozen=True)
class SentRow:
    """One claimed message: its delivery, what the learner reads, and the locale of its text."""

    delivery_id: int
    shown: Shown
    locale: str


@dataclass(frozen=True)
class _Page:
    digest: str
    pieces: Sequence[str]
    as_json: str


def keep_sent(rows: Iterable[SentRow]) -> None:
    """Write what the learners are sent, in place of an earlier attempt. One statement for all."""
    kept = sorted(rows, key=lambda row: row.delivery_id)
    if not kept:
        return
    cuts = [_cut(without_nul(row.shown.html)) for row in kept]
    used = {page.digest: page.as_json for page, _ in cuts if page is not None}
    pages = ", ".join(f'"{digest}": {pieces}' for digest, pieces in used.items())
    values = [_values(row, *cut) for row, cut in zip(kept, cuts, strict=True)]
    with preparing_cursor() as cursor:
        cursor.execute(_KEEP, {"pages": f"{{{pages}}}", "rows": as_rows(values)})


def _values(row: SentRow, page: _Page | None, fillings: list[str]) -> dict[str, Any]:
    return {
        "delivery_id": row.delivery_id,
        "subject": _line(row.shown.subject),
        "page_id": page and page.digest,
        "fillings": fillings,
        "text": without_nul(row.shown.text),
        "locale": row.locale,
        "sender": _line(row.shown.sender),
        "reply_to": _line(row.shown.reply_to),
    }


def _cut(html: str) -> tuple[_Page | None, list[str]]:
    """Return the page of the HTML and what stands between its pieces, or else the whole HTML."""
    for page in _pages():
        fillings = _between(html, page.pieces)
        if fillings is not None:
            return page, fillings
    return None, [html] if html else []


def _between(html: str, pieces: Sequence[str]) -> list[str] | None:
    first, *others, last = pieces
    if not html.startswith(first) or not html.endswith(last):
        return None
    fillings, begin, end = [], len(first), len(html) - len(last)
    for piece in others:
        at = html.find(piece, begin, end)
        if at < 0:
            return None
        fillings.append(html[begin:at])
        begin = at + len(piece)
    return [*fillings, html[begin:end]]


@cache
def _pages() -> list[_Page]:
    return [_page(pieces) for pieces in shells()]


def _page(pieces: Sequence[str]) -> _Page:
    as_json = json.dumps(list(pieces))
    return _Page(hashlib.sha256(as_json.encode()).hexdigest(), pieces, as_json)


def _line(text: str) -> str:
    return without_nul(text)[:MAX_LINE]
