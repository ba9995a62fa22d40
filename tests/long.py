"""Parameters with which a test looks at full size for what it finds with the others too."""

import pytest
from _pytest.mark import ParameterSet


def longer(test: str, *parameters: object) -> list[ParameterSet]:
    """Mark the parameters as long. Of a tuple, each is an argument of its own.

    `test` is the name of the quicker test, as in the mark itself: most often the same one.
    """
    values = [each if isinstance(each, tuple) else (each,) for each in parameters]
    return [pytest.param(*each, marks=pytest.mark.long(test)) for each in values]
