"""The states that a delivery takes by what is reported about it. Pure.

A state never goes back, so the events may come in any order.
"""

from collections.abc import Collection, Iterator

# From the hand-off on, each state may be followed only by a later one.
AFTER_HAND_OFF = ("handed_off", "delivered", "bounced", "complained")
# The provider did not send these, so they do not prove that the learner may have the message.
UNSENT = frozenset({"rejected", "failed"})
# States in which it is not known, or believed untrue, that the message was accepted.
_UNPROVEN = ("in_doubt", "planned", "failed")


def next_states(state: str, kinds: Collection[str]) -> Iterator[str]:
    """Yield the states that follow from the kinds of events, in their order.

    A soft bounce moves nothing: the message may still arrive.
    """
    if _is_proven(state, kinds):
        yield "handed_off"
        state = "handed_off"
    if state not in AFTER_HAND_OFF:
        return
    target = max(map(_reached, kinds), default=0)
    if target > AFTER_HAND_OFF.index(state):
        yield AFTER_HAND_OFF[target]


def _is_proven(state: str, kinds: Collection[str]) -> bool:
    if state == "in_doubt":
        # Even a rejected message was accepted by the provider first.
        return bool(kinds)
    return state in _UNPROVEN and any(kind not in UNSENT for kind in kinds)


def _reached(kind: str) -> int:
    match kind:
        case "delivered":
            return 1
        case "hard_bounced" | "rejected" | "failed":
            return 2
        case "complained":
            return 3
    return 0
