"""Modules that are loaded when they are first used. Pure.

Every command, worker and web server loads all of the project. A library that few of them use, and
that takes as long to load as the rest, must not keep all of them waiting.
"""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module, which is imported when an attribute of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        # Not importlib.util.LazyLoader: up to Python 3.11 two threads run the module's code twice.
        return getattr(import_module(self._name), attribute)
