import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.json_text import canonical_json
from experiments.design import COURSE, Covariate, Design, LayerRange, read_design

CREDITS = '{"field":"trait","key":"studied_credits"}'
FULL = Design(
    method="blocks",
    strata=(Covariate(COURSE), Covariate(CREDITS, parts=3, cuts=(60.0, 90.5))),
    block_multiples=(2,),
    layer=LayerRange("mails", "layer-seed", 0, 5000),
    excludes_reached=True,
    ends_at="2026-03-01T00:00:00+00:00",
    most_learners=200,
    afterwards="one_arm",
    afterwards_arm="nudge",
)


@pytest.mark.parametrize(
    "design", [Design(), FULL, Design(unit="section", method="cluster", most_sections=8)]
)
def test_a_design_is_read_back_from_its_json(design: Design) -> None:
    assert read_design(json.loads(canonical_json(asdict(design)))) == design


def test_an_earlier_protocol_has_the_design_of_its_time() -> None:
    assert read_design({}) == Design()
    assert (Design().unit, Design().method, Design().end) == ("enrollment", "hash", None)
    assert FULL.end == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_range_of_a_layer_has_its_start_and_not_its_end() -> None:
    layer = LayerRange("mails", "s", 10, 20)
    assert [bucket in layer for bucket in (9, 10, 19, 20)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"colour": "red"}, "does not know colour"),
        ({"unit": "school"}, "The unit 'school' is unknown"),
        ({"method": "dice"}, "The method 'dice' is unknown"),
        ({"section_rule": "swap"}, "rule for sections 'swap' is unknown"),
        ({"afterwards": "party"}, "after the end 'party' is unknown"),
        ({"unit": "section"}, "Whole sections"),
        ({"method": "cluster"}, "Whole sections"),
        ({"strata": [{"name": "course"}]}, "Only draws in balanced blocks have strata"),
        ({"method": "blocks", "strata": [{"name": "course"}] * 2}, "4 different covariates"),
        ({"method": "blocks", "strata": [{"name": "x", "parts": 1}]}, "2 to 10 parts"),
        ({"method": "blocks", "strata": [{"name": "x", "cuts": [1]}]}, "0 parts cannot"),
        (
            {"method": "blocks", "strata": [{"name": "x", "parts": 3, "cuts": [2, 1]}]},
            "ascending order",
        ),
        ({"block_multiples": []}, "1 to 4 times"),
        ({"block_multiples": [0]}, "1 to 4 times"),
        ({"layer": {"key": "a", "seed": "b", "start": 5, "end": 5}}, "is not empty"),
        ({"layer": {"key": "a"}}, "cannot read it"),
        ({"strata": 3}, "cannot read it"),
        ({"most_sections": 3}, "only an experiment that draws sections"),
        ({"most_learners": 0}, "at least 1"),
        ({"ends_at": "2026-03-01"}, "an instant with an offset"),
        ({"ends_at": "soon"}, "an instant with an offset"),
        ({"afterwards": "one_arm"}, "Name the arm"),
        ({"afterwards_arm": "nudge"}, "Name the arm"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_impossible_design_is_refused_with_a_sentence(
    content: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_design(content)


def test_a_changed_design_is_checked_too() -> None:
    with pytest.raises(ValueError, match="draws sections"):
        replace(FULL, most_sections=2)
