"""The parsed files of the project, for the guards."""

import ast
import subprocess
from configparser import ConfigParser
from functools import cache
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
APPS = ("activity", "segmentation", "experiments", "interventions")
PACKAGES = (*APPS, "common", "config")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below the folders, without migrations, which are generated."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


def name(path: Path) -> str:
    """Return the name of the file in messages of guards."""
    return path.relative_to(ROOT).as_posix()


@cache
def parsed(path: Path) -> ast.Module:
    """Return the file's syntax tree."""
    return ast.parse(path.read_text(), filename=str(path))


@cache
def nodes(path: Path) -> dict[type[ast.AST], list[ast.AST]]:
    """Return the nodes of the file by their type, each in the order of `ast.walk`.

    Kept, because a dozen guards look at every file, and to walk takes longer than to parse.
    """
    found: dict[type[ast.AST], list[ast.AST]] = {}
    for node in ast.walk(parsed(path)):
        found.setdefault(type(node), []).append(node)
    return found


def nodes_of(path: Path, kind: type[Node]) -> list[Node]:
    """Return the nodes of this type in the file."""
    return [node for node in nodes(path).get(kind, []) if isinstance(node, kind)]


def functions(path: Path) -> list[Function]:
    """Return every function and method in the file."""
    return [*nodes_of(path, ast.FunctionDef), *nodes_of(path, ast.AsyncFunctionDef)]


def body(node: Function) -> list[ast.stmt]:
    """Return the statements of a function without its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def body_lines(node: Function) -> int:
    """Return how many lines the statements take."""
    statements = body(node)
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def contracts() -> dict[str, dict[str, str]]:
    """Return the import contracts by their id."""
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    mark = "importlinter:contract:"
    return {
        name.removeprefix(mark): dict(parser[name])
        for name in parser.sections()
        if name.startswith(mark)
    }


def lines(value: str) -> list[str]:
    """Return the entries of a contract's list."""
    return [line.strip() for line in value.splitlines() if line.strip()]


def pure_modules() -> list[str]:
    """Return the pure modules."""
    return lines(contracts()["pure"]["source_modules"])


def module_files(module: str) -> list[Path]:
    """Return the files of a module or package."""
    path = ROOT / module.replace(".", "/")
    return python_files(str(path.relative_to(ROOT))) if path.is_dir() else [path.with_suffix(".py")]


def documents() -> list[Path]:
    """Return the committed pages with instructions."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split()]
