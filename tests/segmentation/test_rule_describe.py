"""What a learner's signals were, in words: every column of every signal."""

import pytest

from segmentation.rules import describe
from segmentation.rules.describe import find_ref
from segmentation.signals import SIGNALS, SignalKind, SignalRef, usual_refs

REFS = [*usual_refs(), *(SignalRef(s, None, ("region",)) for s in SIGNALS if s.args)]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("active_days_7", 3, "Active on 3 of the last 7 days"),
        ("modules_completed_14", 2, "Completed 2 modules in the last 14 days"),
        ("modules_completed_all", 1, "Completed 1 module so far"),
        ("days_since_activity", 41.28856481481481, "Last active 41.3 days ago"),
        ("days_since_activity", 0.02, "Last active less than 1 day ago"),
        ("days_since_activity", 1.04, "Last active 1 day ago"),
        ("quiz_pass_rate_all", 1 / 3, "Passed 33.3% of the scored quiz attempts so far"),
        (
            "quiz_pass_rate_7",
            None,
            "The share of quiz attempts passed in the last 7 days is unknown",
        ),
        (
            "quiz_attempts_change_7",
            -2,
            "Quiz attempts changed by -2 from the 7 days before to the last 7 days",
        ),
        ("content_views_1", 12345, "Had 12,345 content views today"),
        ("modules_open", 0, "Has 0 open modules"),
        ("trait_region", "Wales", "Trait region is 'Wales'"),
        ("trait_region_7", None, "The trait region_7 is unknown"),
        ("charm_7", 3, "charm_7: 3"),
    ],
)
def test_signal_is_put_in_words(column, value, words):
    assert describe(column, value) == words


@pytest.mark.parametrize("ref", REFS, ids=lambda ref: ref.column)
def test_every_column_leads_back_to_its_signal(ref):
    assert find_ref(ref.column) == ref


@pytest.mark.parametrize("ref", REFS, ids=lambda ref: ref.column)
def test_no_signal_shows_its_column_or_long_decimals(ref):
    value = "Wales" if ref.signal.kind is SignalKind.TRAIT else 0.123456789

    assert ref.column not in describe(ref.column, value)
    assert "3456" not in describe(ref.column, value)
