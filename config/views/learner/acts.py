"""Say in one sentence what a learner did on a day. No database."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal
from itertools import groupby

from activity.models import Item
from activity.queries.acts import DayActs
from activity.texts import a_few
from activity.verbs import ACTS
from interventions.channels import CHANNELS

# Hand-offs are in the timeline as messages.
LEFT_OUT = frozenset(channel.verb for channel in CHANNELS.values())
_DID = {
    "VIEW_MODULE": "looked at",
    "VIEW_ITEM": "looked at",
    "PLAY_VIDEO": "watched",
    "DOWNLOAD_RESOURCE": "downloaded",
    "START_ASSIGNMENT": "started",
    "SUBMIT_ASSIGNMENT": "submitted",
    "ATTEMPT_QUIZ": "attempted",
    "COMPLETE_ITEM": "completed",
    "COMPLETE_MODULE": "completed",
    "PURCHASE": "bought",
}
_WITHOUT_ITEM = {
    "LOGIN": "logged in",
    "VIEW_MODULE": "looked at a module",
    "VIEW_ITEM": "looked at a page",
    "PLAY_VIDEO": "watched a video",
    "DOWNLOAD_RESOURCE": "downloaded a resource",
    "START_ASSIGNMENT": "started an assignment",
    "SUBMIT_ASSIGNMENT": "submitted an assignment",
    "ATTEMPT_QUIZ": "attempted a quiz",
    "COMPLETE_ITEM": "completed an item",
    "COMPLETE_MODULE": "completed a module",
    "PURCHASE": "bought something",
    "EMAIL_OPENED": "opened a message",
    "EMAIL_CLICKED": "followed a link in a message",
    "EMAIL_BOUNCED": "got a message that bounced",
    "EMAIL_COMPLAINED": "marked a message as spam",
    "IN_APP_SEEN": "saw a message on the course site",
    "IN_APP_DISMISSED": "closed a message on the course site",
    "UNSUBSCRIBED": "unsubscribed",
}
_PLURALS = {"quiz": "quizzes", "other": "items"}
# A longer sentence would not be read.
MOST_PARTS = 12


def day_sentence(acts: Iterable[DayActs]) -> str:
    """Return the acts of one day in a sentence: "Logged in, watched 3 videos of Unit 2."."""
    parts = list(_parts([each for each in acts if each.verb not in LEFT_OUT]))
    shown = parts[:MOST_PARTS]
    if len(parts) > len(shown):
        shown.append(f"and {len(parts) - len(shown)} more")
    sentence = ", ".join(shown)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _parts(acts: Sequence[DayActs]) -> Iterator[str]:
    for (_, verb), found in groupby(sorted(acts, key=_order), key=_order):
        group = list(found)
        if verb == "ATTEMPT_QUIZ":
            yield from map(_attempt, group)
        elif len(group) == 1:
            yield _one(group[0])
        else:
            yield _several(verb, group)


def _order(acts: DayActs) -> tuple[int, str]:
    """Return the place of the verb in the list of acts, which is that of a usual visit."""
    return ACTS.index(acts.verb) if acts.verb in ACTS else len(ACTS), acts.verb


def _one(acts: DayActs) -> str:
    times = f" {acts.count:,} times" if acts.count > 1 else ""
    if acts.item is None:
        return _WITHOUT_ITEM.get(acts.verb, f"did “{acts.verb}”") + times
    return _did(acts.verb, f"“{acts.item}”") + times


def _several(verb: str, group: Sequence[DayActs]) -> str:
    """Return one part for several items: "watched 3 videos of “Unit 2” and “Welcome”"."""
    items = [each.item for each in group if each.item is not None]
    by_place = sorted(items, key=_place)
    whats = [_what(list(found)) for _, found in groupby(by_place, key=_place)]
    return _did(verb, a_few(whats, most=MOST_PARTS))


def _place(item: Item) -> tuple[int, str]:
    return item.parent_id or 0, item.kind


def _what(items: Sequence[Item]) -> str:
    if len(items) == 1:
        return f"“{items[0]}”"
    kind = _PLURALS.get(items[0].kind, f"{items[0].kind}s")
    of = f" of “{items[0].parent}”" if items[0].parent else ""
    return f"{len(items)} {kind}{of}"


def _attempt(acts: DayActs) -> str:
    said = _one(acts)
    if acts.score is None:
        return said
    best = "best " if acts.count > 1 else ""
    passed = "" if acts.passed is None else ", passed" if acts.passed else ", not passed"
    # Rounded down: with a pass mark of 0.60, "best 0.60, not passed" would contradict itself.
    score = acts.score.quantize(Decimal("0.01"), ROUND_FLOOR)
    return f"{said}: {best}{score}{passed}"


def _did(verb: str, what: str) -> str:
    return f"{_DID[verb]} {what}" if verb in _DID else f"did “{verb}” with {what}"
