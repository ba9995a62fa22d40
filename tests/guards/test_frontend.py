"""The scripts of the pages: built from their sources, locked without addresses, licences listed."""

import hashlib
import json
import re

import pytest

from tests.guards.code import ROOT

FRONTEND = ROOT / "frontend"
BUILT = ROOT / "static" / "built"
ADDRESS = re.compile(r"https?://|\bresolved\b|registry\.")
# Licences under which a copy may be passed on with its text.
ALLOWED = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}


def built():
    """Return what the build wrote beside the bundle."""
    return json.loads((BUILT / "built.json").read_text())


def source_digest():
    """Return the digest that frontend/build.mjs computes."""
    sources = [path.relative_to(FRONTEND).as_posix() for path in (FRONTEND / "src").iterdir()]
    digest = hashlib.sha256()
    for name in sorted([*sources, "build.mjs", "package-lock.json", "package.json"]):
        digest.update(f"{name}\n".encode())
        digest.update((FRONTEND / name).read_bytes())
    return digest.hexdigest()


def test_lock_file_holds_no_address_of_a_registry() -> None:
    lock = json.loads((FRONTEND / "package-lock.json").read_text())
    # A package may name a page where its authors ask for money.
    packages = [
        {key: value for key, value in one.items() if key != "funding"}
        for one in lock["packages"].values()
    ]

    assert not ADDRESS.search(json.dumps(packages))
    assert all("integrity" in one for one in packages[1:])
    assert ADDRESS.search(json.dumps({"resolved": "x"}))


# Slow, so that they run only where `make install` has built the bundle: `make test` does.
@pytest.mark.slow
def test_bundle_is_built_from_these_sources() -> None:
    assert built()["sources"] == source_digest(), "run `make install`"
    assert (BUILT / "rule_builder.js").stat().st_size > 100_000


@pytest.mark.slow
def test_every_bundled_package_is_listed_with_a_licence_that_is_allowed() -> None:
    packages = built()["packages"]
    rows = [f"| {one['name']} | {one['version']} | {one['license']} |" for one in packages]
    listed = re.findall(
        r"^\| (?!package|---).*$", (FRONTEND / "LICENCES.md").read_text(), re.MULTILINE
    )
    texts = (BUILT / "LICENCES.txt").read_text()

    assert listed == rows
    assert {one["license"] for one in packages} <= ALLOWED
    assert texts.count("Permission") >= len(rows)


@pytest.mark.slow
def test_bundle_compiles_no_text_to_code() -> None:
    # The content policy forbids it, and it would fail only when somebody uses that part.
    script = (BUILT / "rule_builder.js").read_text()

    assert not re.search(r"\beval\(|new Function\(", script)
