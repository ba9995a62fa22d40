"""Whether a bounce is for good, by the words of each provider. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

HARD, SOFT = "hard", "soft"
Raw = Mapping[str, Any]

# The address does not exist or is closed: bad mailbox, bad system, bad syntax, moved, disabled
# (RFC 3463). Other codes of class 5 are about this message or the sender, such as a full mailbox
# (5.2.2) or a refusal by policy (5.7.1): the address may accept the next one.
_OF_THE_ADDRESS = re.compile(r"\b5\.(1\.[1236]|1\.10|2\.1)\b")
# SparkPost's classes of bounces without a recipient. The others are soft, blocks or undetermined.
_SPARKPOST_HARD = {"10", "30"}


def _inside(raw: Raw, *path: str) -> Any:
    """Return the value at the end of the path, or None."""
    value: Any = raw
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _is(*hard: Any, at: tuple[str, ...]) -> Callable[[Raw], bool]:
    return lambda raw: _inside(raw, *at) in hard


def _sparkpost(raw: Raw) -> bool:
    bodies = [each for each in _inside(raw, "msys").values() if isinstance(each, Mapping)]
    return any(str(body.get("bounce_class")) in _SPARKPOST_HARD for body in bodies)


# Whether the event says that the address is not to be used again.
_HARD: Mapping[str, Callable[[Raw], bool]] = {
    "amazon_ses": _is("Permanent", at=("bounce", "bounceType")),
    "brevo": _is("hard_bounce", "invalid_email", at=("event",)),
    "mailersend": _is("hard_bounced", at=("data", "type")),
    # An earlier bounce. For a new one only the answer tells.
    "mailgun": _is("suppress-bounce", at=("event-data", "reason")),
    "mailjet": lambda raw: raw.get("hard_bounce") is True,
    "mailtrap": _is("bounce", at=("event",)),
    "mandrill": _is("hard_bounce", at=("event",)),
    "postmark": _is("HardBounce", at=("Type",)),
    "resend": _is("Permanent", at=("data", "bounce", "type")),
    "sendgrid": _is("bounce", at=("type",)),
    "sparkpost": _sparkpost,
    "unisender_go": _is("hard_bounced", at=("status",)),
}


def bounce_of(provider: str, raw: Raw, answer: str) -> str:
    """Return "hard" if the address accepts no mail at all, else "soft".

    `answer` is the reply of the receiver's server. It decides for a provider that does not tell.
    """
    tells = _HARD.get(provider)
    if tells is not None and _asked(tells, raw):
        return HARD
    by_answer = provider == "mailgun" or tells is None
    return HARD if by_answer and _OF_THE_ADDRESS.search(answer) else SOFT


def _asked(tells: Callable[[Raw], bool], raw: Raw) -> bool:
    try:
        return tells(raw)
    except (AttributeError, TypeError):
        # Not in the form that the provider documents.
        return False
