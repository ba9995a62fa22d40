"""The rules that withhold a comparison stand in the protocol, under its digest."""

import json

import pytest

from experiments.design import CLUSTER, SECTION, Design
from experiments.metrics.definitions import GUARDRAILS, METRICS
from experiments.protocol import (
    Analysis,
    ExperimentProtocol,
    ProtocolError,
    protocol_text,
    read_protocol,
)
from experiments.rules import RULES
from experiments.stats.section_slopes import METHOD
from tests.experiments.test_operations import ARMS


def test_a_protocol_holds_the_rules_that_withhold_and_the_tests_of_sections() -> None:
    text = protocol_text(ExperimentProtocol(ARMS, seed="s"))
    locked = json.loads(text)
    rules = locked["rules"]

    assert rules["arm_sizes_broken_if_p_below"] == 0.001
    assert rules["withheld_if_p_of_leavers_below"] == 0.001
    assert rules["tests_of_whole_sections"]["difference"] == "CRV3, t of sections"
    assert protocol_text(read_protocol(text)) == text
    # A release that would judge otherwise must not judge at all, but learners are still drawn.
    other = read_protocol(json.dumps(locked | {"rules": rules | {"sizes": 0.5}}))
    assert other.draw(coverage=1).draw("one", seed="s")
    with pytest.raises(ProtocolError, match=r"judges by other rules than were locked \(sizes\)"):
        other.chosen_metrics()


OF_SECTIONS = Design(unit=SECTION, method=CLUSTER)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_that_was_not_locked_judges_nothing(name: str) -> None:
    locked = json.loads(protocol_text(ExperimentProtocol(ARMS, seed="s", design=OF_SECTIONS)))
    del locked["rules"][name]

    with pytest.raises(ProtocolError, match=rf"than were locked \({name}\)"):
        read_protocol(json.dumps(locked)).chosen_metrics()


def test_sections_locked_before_the_draw_decided_are_not_judged_by_it() -> None:
    before = {
        "difference": "CRV3, t of sections",
        "adjusted_difference": METHOD,
        "beside_it": ["Welch t of section means", "randomization test within blocks"],
    }
    locked = json.loads(protocol_text(ExperimentProtocol(ARMS, seed="s", design=OF_SECTIONS)))
    locked["rules"]["tests_of_whole_sections"] = before

    with pytest.raises(ProtocolError, match=r"than were locked \(tests_of_whole_sections\)"):
        read_protocol(json.dumps(locked)).chosen_metrics()
    # Where single learners are drawn, no section decides anything.
    single = json.loads(protocol_text(ExperimentProtocol(ARMS, seed="s")))
    single["rules"]["tests_of_whole_sections"] = before
    assert read_protocol(json.dumps(single)).chosen_metrics() == list(METRICS)


def test_a_protocol_of_format_3_is_read_without_rules() -> None:
    old = json.loads(protocol_text(ExperimentProtocol(ARMS, seed="s"))) | {"format": 3}
    del old["rules"]

    found = read_protocol(json.dumps(old))

    assert (found.format, found.rules, found.analysis) == (3, {}, Analysis())
    assert found.chosen_guardrails() == list(GUARDRAILS)
    assert found.chosen_metrics() == list(METRICS)
    with pytest.raises(ProtocolError, match="can be read but not written again"):
        protocol_text(found)
