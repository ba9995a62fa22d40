"""The command that says how many learners an experiment needs."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("plan_sample", *arguments, stdout=out)
    return out.getvalue()


def test_sample_is_printed_in_a_sentence() -> None:
    assert run("--baseline", "0.25", "--lift", "0.15") == (
        "152 learners per arm, 304 in all, find a lift from 0.25 to 0.4 with a chance of 0.8 "
        "(level 0.95).\n"
    )


def test_whole_sections_need_more_learners() -> None:
    sections = ("--icc", "0.05", "--cluster-size", "50")
    found = json.loads(run("--baseline", "0.25", "--lift", "0.15", *sections, "--json"))

    # 152 times 3.45 is 524.4, which fills 11 sections of 50. The comparison of sections has a t
    # with few degrees of freedom, so it needs one more.
    assert found["design_effect"] == pytest.approx(3.45)
    assert (found["sections_per_arm"], found["per_arm"], found["total"]) == (12, 600, 1200)
    assert found["per_arm_if_drawn_singly"] == 152
    text = run("--baseline", "0.25", "--lift", "0.15", *sections)
    assert "These are 12 sections per arm of 50 learners (design effect 3.45)." in text
    assert [line.split() for line in text.splitlines()[2:]] == [
        ["whole", "sections", "12", "600", "1,200"], ["drawn", "singly", "152", "304"],
    ]  # fmt: skip


def test_a_fall_needs_as_many_sections_as_the_mirrored_rise() -> None:
    sections = ("--icc", "0.05", "--cluster-size", "50", "--json")
    rise, fall = (
        json.loads(run("--baseline", baseline, "--lift", lift, *sections))["sections_per_arm"]
        for baseline, lift in (("0.25", "0.15"), ("0.75", "-0.15"))
    )

    assert rise == fall


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--baseline", "0.9", "--lift", "0.2"), "both shares must be from 0 to 1"),
        (("--baseline", "0.3", "--lift", "0"), "The lift must not be 0"),
        (("--baseline", "0.3", "--lift", "0.1", "--power", "1"), "The power must be below 1"),
        (("--baseline", "0.3", "--lift", "0.1", "--icc", "0.1"), "give both or neither"),
        (
            ("--baseline", "0.3", "--lift", "0.1", "--icc", "2", "--cluster-size", "9"),
            "from 0 to 1",
        ),
    ],
    ids=str,
)
def test_shares_that_cannot_be_give_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)
