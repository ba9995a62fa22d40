"""The rules by which a report trusts or withholds its numbers, as a protocol holds them. Pure."""

from collections.abc import Mapping
from typing import Any

from experiments.stats.balance import ALARM, SURPRISE
from experiments.stats.section_slopes import METHOD
from experiments.stats.sections import METHOD as OF_SECTIONS

OF_WHOLE_SECTIONS = "tests_of_whole_sections"

# A protocol locks all of it. Where whole sections are drawn, `tests_of_whole_sections` holds in
# place of the analyses of the metrics, which are those of single learners.
RULES: Mapping[str, Any] = {
    "arm_sizes_broken_if_p_below": ALARM,
    "arm_sizes_surprise_if_p_below": SURPRISE,
    "arm_sizes_test": "exact multinomial, valid at any time",
    "withheld_if_p_of_leavers_below": ALARM,
    "harm_shows_if": "p of the guardrail, corrected for all guardrails where p is corrected",
    OF_WHOLE_SECTIONS: {
        "difference": OF_SECTIONS,
        "adjusted_difference": METHOD,
        "found_by_the_draw_alone_if": "the p of the t is below the least p that the draw can give",
        "test_of_the_draw": "randomization test within blocks",
        "beside_it": ["Welch t of section means"],
    },
}


def unknown_rules(rules: Mapping[str, Any], *, of_sections: bool) -> list[str]:
    """Return the names of the rules that this release would not apply as they were locked.

    A rule that was not locked is unknown too: nobody agreed to it before the start. The tests of
    whole sections judge nothing where single learners are drawn. Protocols before format 4 hold no
    rules, so none of theirs is unknown.
    """
    if not rules:
        return []
    names = [*rules, *(name for name in RULES if name not in rules)]
    judging = [name for name in names if of_sections or name != OF_WHOLE_SECTIONS]
    return [name for name in judging if rules.get(name) != RULES.get(name)]
