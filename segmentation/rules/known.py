"""Refuse names that nothing can have, such as an unknown verb, in new rules. Pure.

This is not a part of `parse`, because a stored rule with such a name must stay readable.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from segmentation.rules.faults import closest, join, show
from segmentation.rules.ranges import with_paths
from segmentation.rules.types import Group, RuleError

# The names that are known, by what an argument offers: the verbs, the kinds of items.
Known = Mapping[str, Collection[str]]
NOTHING_KNOWN: Known = {}
_ONE = {
    "verbs": "a verb; an admin can register others under Verbs",
    "kinds": "a kind of item",
    "traits": "a trait of any learner of these courses",
    "items": "an item of these courses",
    "topics": "a topic of an item of these courses",
}


@dataclass(frozen=True)
class AskedNames(Collection[str]):
    """Names that are asked for one by one. To iterate gives those that are suggested."""

    has: Callable[[str], bool]
    suggest: Callable[[], Sequence[str]]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.suggest())

    def __len__(self) -> int:
        return len(self.suggest())


def check_names(rule: Group, known: Known) -> Group:
    """Return the rule. Raise RuleError, with the path, for a name that is not among the known.

    Names of which nothing is known are not checked.
    """
    for path, condition in with_paths(rule):
        for argument, text in condition.ref.arguments:
            names = known.get(argument.offers)
            if names is not None and text not in names:
                hint = closest(text, names)
                raise RuleError(
                    join(path, argument.key), f"{show(text)} is not {_ONE[argument.offers]}{hint}"
                )
    return rule
