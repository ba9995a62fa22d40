"""Load a module when it is first used. Pure.

Every command, worker and web server imports the whole project. A library that few of them use and
that takes long to import must not slow all of them down.
"""

from importlib import import_module
from typing import Any


class LazyModule:
    """A proxy for a module. The module is imported at the first access to an attribute."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Not importlib.util.LazyLoader: up to Python 3.11, two threads can run the module twice.
        return getattr(import_module(self._name), attribute)
