"""The error of an operation that is refused, with a sentence for the user."""


class InterventionError(Exception):
    """A cadence, template or delivery cannot be saved, started or moved as requested.

    `field` is the name of the field that the sentence is about, or empty.
    """

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field
