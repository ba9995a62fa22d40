"""Signals in words: every identity of every signal."""

import pytest
from hypothesis import given

from segmentation.rules import describe, figure, find_ref, heading
from segmentation.signals import SIGNALS_BY_NAME, SignalKind, SignalRef, usual_refs
from tests.segmentation.factories import identity
from tests.segmentation.rule_strategies import NAMES, names

REFS = [*usual_refs(), *(SignalRef(SIGNALS_BY_NAME["trait"], None, (name,)) for name in NAMES)]


@pytest.mark.parametrize(
    ("named", "value", "words"),
    [
        (("active_days", 7), 3, "Active on 3 of the last 7 days"),
        (("modules_completed", 14), 2, "Completed 2 modules in the last 14 days"),
        (("modules_completed",), 1, "Completed 1 module so far"),
        (("days_since_activity",), 41.28856481481481, "Last active 41.2 days ago"),
        (("days_since_activity",), 6.99, "Last active 6.9 days ago"),
        (("days_since_activity",), 7, "Last active 7 days ago"),
        (("days_since_activity",), 0.02, "Last active less than 1 day ago"),
        (("days_since_activity",), 1.04, "Last active 1 day ago"),
        (("quiz_pass_rate",), 1 / 3, "Passed 33.3% of the scored quiz attempts so far"),
        (
            ("quiz_pass_rate", 7),
            None,
            (
                "The share of quiz attempts passed in the last 7 days is unknown: no quiz attempt "
                "in the last 7 days has a score"
            ),
        ),
        (
            ("quiz_attempts_change", 7),
            -2,
            "Quiz attempts changed by -2 from the 7 days before to the last 7 days",
        ),
        (("content_views", 1), 12345, "Had 12,345 content views today"),
        (("modules_open",), 0, "Has 0 open modules"),
        (("trait", None, "region"), "Wales", "Trait region is 'Wales'"),
        (
            ("trait", None, "region_7"),
            None,
            "The trait region_7 is unknown: the roster gives no region_7",
        ),
    ],
)
def test_signal_is_described_in_words(named, value, words):
    assert describe(identity(*named), value) == words


@pytest.mark.parametrize("name", ["charm_7", "7", "[]", '{"field":"charm","window":7}', "{}"])
def test_unknown_name_is_shown_unchanged(name):
    assert describe(name, 3) == f"{name}: 3"


@pytest.mark.parametrize("ref", REFS, ids=lambda ref: ref.column)
def test_every_identity_leads_back_to_its_signal(ref):
    assert find_ref(ref.identity) == ref


@given(names)
def test_every_name_leads_back_to_its_signal(name):
    ref = SignalRef(SIGNALS_BY_NAME["trait"], None, (name,))
    assert find_ref(ref.identity) == ref


@pytest.mark.parametrize("ref", REFS, ids=lambda ref: ref.column)
def test_no_signal_shows_its_identity_or_long_decimals(ref):
    value = "Wales" if ref.signal.kind is SignalKind.TRAIT else 0.123456789

    for name in (ref.identity, ref.column, "3456"):
        assert name not in describe(ref.identity, value)


@pytest.mark.parametrize(
    ("named", "value", "column", "shown"),
    [
        (("content_views", 14), 1200, "Content views in the last 14 days", "1,200"),
        (("quiz_pass_rate", None), 0.625, "Share of quiz attempts passed so far", "62.5%"),
        (("days_since_activity", None), 3.25, "Days since the last activity", "3.2 days"),
        (("trait", None, "region"), ["Kent", 3], "Trait region", "'Kent', 3"),
        (("average_score", 7), None, "Average quiz score in the last 7 days", "unknown"),
    ],
)
def test_signal_has_a_heading_and_a_figure_for_a_table(named, value, column, shown):
    ref = find_ref(identity(*named))

    assert (heading(ref), figure(ref, value)) == (column, shown)
