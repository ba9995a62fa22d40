"""What the printed certificates follow from, and whether it is still what they were computed from.

It reads the sources of a checkout. An installed wheel has neither the page nor the lock file.
"""

import ast
import re
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from experiments.terminal.certification import BEGIN, END

COMMAND = "experiments.management.commands.certify_statistics"
LOCK = "requirements.lock"
_SEAL = re.compile(r"<!-- certificates: computed from ([0-9a-f]{64}) -->\n")


def inputs(root: Path) -> list[Path]:
    """Return the files that decide all numbers of the certificates, sorted.

    They are the statistics, the command, all modules of the project that these import, and the
    lock file, which holds the libraries.
    """
    found = {root / LOCK}
    waiting = [*_files_of(COMMAND, root), *(root / "experiments/stats").rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path, root)
    return sorted(found)


def digest_of_inputs(root: Path) -> str:
    """Return the SHA-256 of the names and bytes of all inputs and of the version of Python."""
    digest = sha256("{}.{}\n".format(*sys.version_info).encode())
    for path in inputs(root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def with_seal(page: str, *, inputs: str) -> str:
    """Return the page with the seal of its tables. `inputs` is the digest of their inputs."""
    page = _SEAL.sub("", page)
    return page.replace(END, f"<!-- certificates: computed from {_seal(page, inputs)} -->\n{END}")


def is_sealed(page: str, *, inputs: str) -> bool:
    """Return whether exactly these tables were computed from exactly these inputs."""
    found = _SEAL.search(page)
    return found is not None and found[1] == _seal(_SEAL.sub("", page), inputs)


def _seal(page: str, inputs: str) -> str:
    # With the tables: a number that was changed by hand breaks the seal too.
    tables = page.partition(BEGIN)[2].partition(END)[0]
    return sha256(f"{inputs}\n{tables}".encode()).hexdigest()


def _imported(path: Path, root: Path) -> Iterator[Path]:
    """Yield the files of the project that a file imports, with the packages around them."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        else:
            continue
        for name in names:
            yield from _files_of(name, root)


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """Yield the file of a module and those of the packages around it, as far as they are there."""
    place = root
    for part in name.split("."):
        place /= part
        files = (place / "__init__.py", place.with_suffix(".py"))
        yield from (each for each in files if each.is_file())
