"""The progress bar of a command that reads a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm


@contextmanager
def reading_bar(path: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of the file is read, and yield the function that takes the bytes read so far.

    The bar is on standard error, so that programs can read standard output. It appears only in a
    terminal, and only if the reading takes more than a second.
    """
    size = path.stat().st_size if path.is_file() else None
    with tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=None, delay=1) as bar:
        yield lambda position: _move(bar, position)


def _move(bar: "tqdm[Any]", position: int) -> None:
    bar.update(position - bar.n)
