"""Whatever a file holds, `analyze_csv` gives an answer or a sentence."""

import json
import warnings
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples

WORDS = ["0", "1", "2", "7", "1e100", "-1e100", "1e-100", "1e99", "3.5", "", "NA", "yes", "no"]
PALETTES = st.sampled_from([["0", "1"], ["0", "1", ""], ["0", "1", "2", "9", "60"], ["7"], WORDS])
WRONG = st.sampled_from(["1_000", "1e200", "-1e308", "1e-308", "inf", "text", "1,5", "\u0661"])
Rows = list[tuple[str, ...]]


@st.composite
def tables(draw: st.DrawFn) -> Rows:
    """Return rows of an arm, a unit, a section and three numbers.

    Most units and sections are in one arm. hypothesis alone would hardly draw two rows of each.
    """
    rng = draw(st.randoms(use_true_random=False))
    arms = draw(st.sampled_from([["control", "nudge"], ["control", "nudge", "email", "NA"]]))
    palettes = [draw(PALETTES) for _ in range(3)]
    stray = draw(st.sampled_from([0.0, 0.0, 0.05]))
    rows = []
    for _ in range(draw(st.integers(0, 60))):
        arm = rng.choice(arms)
        own = rng.choice(arms) if rng.random() < stray else arm
        names = (own + rng.choice("abcdefghijkl"), own + rng.choice("abc"))
        rows.append((arm, *names, *(rng.choice(palette) for palette in palettes)))
    return rows


METRICS = st.sampled_from(
    ["x", "x", "x:mean", "x:binary", "x:ratio=y", "x:time=y", "y", "y:ratio=z"]
)
OPTIONS = st.lists(
    st.sampled_from(
        ["--unit=u", "--cluster=s", "--covariate=z", "--covariate=x", "--covariate=s", "--cap=90",
         "--weights=control=1,nudge=3", "--weights=control=.45,nudge=.45", "--level=.5",
         "--level=.999999"]
    ),
    max_size=4, unique_by=lambda option: option.partition("=")[0] + option[-1],
)  # fmt: skip


def answer(rows: Rows, args: list[str]) -> str:
    with TemporaryDirectory() as folder:
        path, out = Path(folder, "rows.csv"), StringIO()
        path.write_text("\n".join(";".join(row) for row in [tuple("ausxyz"), *rows]) + "\n")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                call_command("analyze_csv", path, "--arm=a", "--control=control", *args, stdout=out)
        except CommandError as error:
            return str(error)
        return out.getvalue()


def unknown_without_reason(found: Any) -> list[Any]:
    """Return the estimates that lack a number and say no reason."""
    if isinstance(found, list):
        return [each for part in found for each in unknown_without_reason(part)]
    if not isinstance(found, dict):
        return []
    inner = [each for part in found.values() for each in unknown_without_reason(part)]
    lacks = (
        "reason" in found
        and not found["reason"]
        and None
        in (
            found.get("value", 0),
            found.get("low", 0),
            found.get("high", 0),
            found.get("p_value", 0),
        )
    )
    return [*inner, found] if lacks else inner


@pytest.mark.slow
@settings(max_examples=examples(20), deadline=None)
@given(rows=tables(), metrics=st.lists(METRICS, min_size=1, max_size=2), options=OPTIONS)
def test_every_number_is_known_or_has_a_reason(
    rows: Rows, metrics: list[str], options: list[str]
) -> None:
    args = [*(f"--metric={metric}" for metric in metrics), *options]
    found = answer(rows, [*args, "--json"])

    if found.startswith("{"):
        assert unknown_without_reason(json.loads(found)) == []
        text = answer(rows, args)
        assert "by arm: control" in text
        assert "nan" not in text
    else:
        assert found.endswith((".", "nothing"))


@pytest.mark.slow
@settings(max_examples=examples(15), deadline=None)
@given(rows=tables().filter(bool), wrong=WRONG, place=st.sampled_from([3, 4, 5]))
def test_a_wrong_cell_is_named(rows: Rows, wrong: str, place: int) -> None:
    bad = [*rows[0][:place], wrong, *rows[0][place + 1 :]]
    found = answer([*rows, tuple(bad)], ["--metric", "xyz"[place - 3]])

    # In a file with semicolons a comma is a decimal mark.
    assert found.startswith(f"Line {len(rows) + 2}: '{wrong}' in column") or wrong == "1,5"
