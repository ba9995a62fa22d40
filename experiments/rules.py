"""The rules by which a report trusts or withholds its numbers, as a protocol holds them. Pure."""

from collections.abc import Mapping
from typing import Any

from experiments.stats.balance import ALARM, SURPRISE
from experiments.stats.section_slopes import METHOD
from experiments.stats.sections import METHOD as OF_SECTIONS

# A protocol locks all of it. Where whole sections are drawn, `tests_of_whole_sections` holds in
# place of the analyses of the metrics, which are those of single learners.
RULES: Mapping[str, Any] = {
    "arm_sizes_broken_if_p_below": ALARM,
    "arm_sizes_surprise_if_p_below": SURPRISE,
    "arm_sizes_test": "exact multinomial, valid at any time",
    "withheld_if_p_of_leavers_below": ALARM,
    "tests_of_whole_sections": {
        "difference": OF_SECTIONS,
        "adjusted_difference": METHOD,
        "beside_it": ["Welch t of section means", "randomization test within blocks"],
    },
}


def unknown_rules(rules: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules that this release would not apply as they were locked.

    Protocols before format 4 hold no rules, so none of theirs is unknown.
    """
    return [name for name, value in rules.items() if RULES.get(name) != value]
