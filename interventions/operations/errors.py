"""What an operation refuses, in a sentence for the person who asked."""


class InterventionError(Exception):
    """A cadence, template, experiment or delivery that cannot be saved, started or moved so.

    `field` names the field that the sentence concerns, where it is one.
    """

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field
