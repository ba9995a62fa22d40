"""The rules of the shipped playbooks have the expected English explanation."""

import json
from pathlib import Path

import pytest

import segmentation
from segmentation.rules import explain, parse, to_json

FOLDER = Path(segmentation.__file__).parent / "playbooks"
FIVE = json.loads((FOLDER / "five-segments.json").read_text())
LITERAL = json.loads((FOLDER / "five-segments-literal.json").read_text())

EXPLAINED = {
    "active-progress": "Active on at least 3 of the last 7 days"
    " and completed at least 1 module in the last 14 days",
    "video-only": "Had at least 1 content view in the last 14 days"
    " and attempted less than 30% of the quizzes in the modules touched in the last 14 days",
    "at-risk": "Completed less than 50% of the activities owed in the last 14 days"
    " or passed less than 60% of the scored quiz attempts in the last 14 days",
    "stalled": "Has at least 1 open module and last active at least 7 days ago",
    "veterans": "Passed at least 85% of the scored quiz attempts so far"
    " and less than 25% of the course completes modules faster"
    " and active on at least 1 of the last 14 days",
}
LITERALLY = EXPLAINED | {
    "stalled": "Has at least 1 open module and (last active at least 7 days ago"
    " or has at least 1 begun module untouched for 7 days)",
    "veterans": "Passed at least 85% of the scored quiz attempts so far"
    " and less than 25% of the course completes modules faster",
}


@pytest.mark.parametrize("segment", FIVE["segments"], ids=lambda segment: segment["key"])
def test_shipped_segment_has_the_expected_explanation(segment):
    rule = parse(segment["rule"])
    assert explain(rule) == EXPLAINED[segment["key"]]
    assert to_json(rule) == segment["rule"]


@pytest.mark.parametrize("segment", LITERAL["segments"], ids=lambda segment: segment["key"])
def test_the_literal_wording_ships_too(segment):
    rule = parse(segment["rule"])
    assert explain(rule) == LITERALLY[segment["key"]]
    assert to_json(rule) == segment["rule"]


@pytest.mark.parametrize(("shipped", "mode"), [(FIVE, "exclusive"), (LITERAL, "overlapping")])
def test_the_five_segments_have_their_priorities(shipped, mode):
    by_priority = sorted(shipped["segments"], key=lambda segment: segment["priority"])
    keys = [segment["key"] for segment in by_priority]
    assert shipped["mode"] == mode
    assert keys == ["stalled", "at-risk", "video-only", "veterans", "active-progress"]
