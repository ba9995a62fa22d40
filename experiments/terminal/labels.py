"""A column of names, such as arms, units or sections, as numbers. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Labels:
    """The distinct names of a column, and for each row the index of its name, or -1 for none."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Iterable[str], codes: NDArray[np.int32]) -> "Labels":
        """Return the labels of texts that may differ only by the spaces around them."""
        stripped = [text.strip() for text in texts]
        names = tuple(dict.fromkeys(stripped))
        if len(names) == len(stripped):
            return cls(names, codes)
        return cls(names, _remapped(codes, [names.index(text) for text in stripped]))

    def only(self, is_kept: Callable[[str], bool]) -> "Labels":
        """Return the labels with -1 for each row whose name is not kept."""
        names = tuple(name for name in self.names if is_kept(name))
        return self if len(names) == len(self.names) else self.ordered(names)

    def ordered(self, names: Iterable[str]) -> "Labels":
        """Return the labels with these names in this order, and -1 for rows with another name."""
        wanted = tuple(names)
        places = {name: place for place, name in enumerate(wanted)}
        return Labels(wanted, _remapped(self.codes, [places.get(name, -1) for name in self.names]))


def _remapped(codes: NDArray[np.int32], places: list[int]) -> NDArray[np.int32]:
    # The last place is where the index -1 leads.
    found: NDArray[np.int32] = np.array([*places, -1], dtype=np.int32)[codes]
    return found
