"""The arguments that a condition may give to its signal. Pure."""

from dataclasses import dataclass

# A path into the properties of an event has at most so many names.
MAX_LEVELS = 8


@dataclass(frozen=True)
class Argument:
    """One key of a condition, with a text as its value.

    `label` is what the rule builder shows beside it. `words` are its part of a sentence, around the
    value. `offers` names what the builder suggests: traits, verbs, items, kinds or topics of the
    courses. An argument that is not `required` is a filter. Without it, nothing is left out.
    `together` is another key without which this one has no meaning.
    """

    key: str
    label: str
    words: str = "{}"
    offers: str = ""
    required: bool = True
    together: str = ""
    levels: int | None = None


TRAIT = Argument("key", "Name of the trait", offers="traits")
VERB = Argument("verb", "Verb of the events", offers="verbs")
WITHOUT = Argument("without", "Verb that must not follow", "without {}", offers="verbs")
ITEM = Argument("item", "Item", "of item '{}'", "items", required=False)
KIND = Argument("kind", "Kind of item", "of kind '{}'", "kinds", required=False)
TOPIC = Argument("topic", "Topic", "about '{}'", "topics", required=False)
PROPERTY = Argument(
    "property", "Property", "whose {}", required=False, together="equals", levels=MAX_LEVELS
)
EQUALS = Argument("equals", "Value of the property", "is '{}'", required=False, together="property")
EVENT = (VERB, ITEM, KIND, TOPIC, PROPERTY, EQUALS)
