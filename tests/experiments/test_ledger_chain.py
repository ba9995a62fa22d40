"""The chain of digests alone, without a database."""

from dataclasses import replace

import pytest

from experiments.ledger import Entry, chain_fault, next_entry


def chain_of(*kinds: str) -> list[Entry]:
    entries: list[Entry] = []
    for number, kind in enumerate(kinds):
        last = entries[-1] if entries else None
        entries.append(next_entry(last, kind=kind, content=str(number), at="2026-01-01"))
    return entries


GOOD = chain_of("protocol", "draws", "draws")


def test_a_digest_never_changes() -> None:
    # printf '["",0,"protocol","2026-01-01","0"]' | sha256sum
    assert GOOD[0].sha256 == "5a9f196de9d6b5a1b895dfb8ee4ed8e264af79c83fabcf5d8d7ae74dbac78e7d"
    assert chain_fault(GOOD) == ""


def test_an_entry_replaced_with_its_digest_is_found_by_the_next_one() -> None:
    other = next_entry(GOOD[0], kind="draws", content="another", at="2026-01-01")

    assert chain_fault([GOOD[0], other]) == ""
    assert chain_fault([GOOD[0], other, GOOD[2]]) == (
        "Entry 2 of the ledger (draws) does not follow the entry before it: one of them was "
        "replaced."
    )


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([], "has no entry"),
        (GOOD[1:], "Entry 0 of the ledger is missing: 1 follows"),
        ([GOOD[0], GOOD[2]], "Entry 1 of the ledger is missing: 2 follows"),
        ([*GOOD, GOOD[2]], "Entry 3 of the ledger is missing: 2 follows"),
        ([GOOD[0], replace(GOOD[1], at="2026-01-02"), GOOD[2]], "(draws) was changed"),
        ([GOOD[0], replace(GOOD[1], kind="snapshot"), GOOD[2]], "(snapshot) was changed"),
        (chain_of("protocol", "protocol"), "stands in the wrong place"),
        (chain_of("draws"), "stands in the wrong place"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_chain_is_named(entries: list[Entry], sentence: str) -> None:
    assert sentence in chain_fault(entries)
