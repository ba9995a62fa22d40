"""The end of every mail: why it was sent, by whom, and how to get no more."""

from dataclasses import dataclass
from functools import cached_property
from html import escape

from interventions.render.context import MessageContext
from interventions.render.names import one_line
from interventions.render.words import MailWords

_HTML = (
    "<p>{because}</p>"
    '<p><a href="{preferences_url}">{choose}</a> &middot; '
    '<a href="{unsubscribe_url}">{stop}</a></p>'
    "<p>{postal_address}</p>"
)
# Mail programs take two hyphens and a space for the beginning of a signature.
_TEXT = """--{space}
{because}

{choose}:
{preferences_url}

{stop}:
{unsubscribe_url}

{postal_address}
"""


@dataclass(frozen=True)
class Foot:
    """The end of one mail."""

    context: MessageContext
    postal_address: str
    words: MailWords

    @property
    def html(self) -> str:
        """Return it as HTML."""
        return _HTML.format(**{name: escape(value) for name, value in self._values.items()})

    @property
    def text(self) -> str:
        """Return it as text, with each address on a line of its own."""
        return _TEXT.format(space=" ", **self._values)

    @cached_property
    def _values(self) -> dict[str, str]:
        return {
            "because": self._because,
            "choose": self.words.choose,
            "stop": self.words.stop,
            "preferences_url": self.context.preferences_url,
            "unsubscribe_url": self.context.unsubscribe_url,
            "postal_address": self.postal_address,
        }

    @property
    def _because(self) -> str:
        sentences = [self.words.takes_part % {"course": one_line(self.context.course_title)}]
        reason = self.context.told_reason or self.context.why
        if reason:
            sentences.append(self.words.reason % {"reason": reason})
        return " ".join(sentences)
