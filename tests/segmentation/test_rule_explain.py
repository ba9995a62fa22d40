import pytest
from hypothesis import given

from segmentation.rules import explain, parse
from tests.segmentation.rule_strategies import rule_shapes


def rule(field, operator, value=None, **keys):
    shape = {"field": field, "operator": operator, **keys}
    return shape if value is None else shape | {"value": value}


def group(*rules, combinator="and", negated=False):
    return {"combinator": combinator, "not": negated, "rules": list(rules)}


ACTIVE = rule("active_days", ">=", 3, window=7)
COMPLETED = rule("modules_completed", ">=", 1, window=14)
OPEN = rule("modules_open", ">=", 1)
QUIET = rule("days_since_activity", ">=", 7)


@pytest.mark.parametrize(
    ("shape", "english"),
    [
        (
            group(ACTIVE, COMPLETED),
            (
                "Active on at least 3 of the last 7 days"
                " and completed at least 1 module in the last 14 days"
            ),
        ),
        (rule("active_days", "<", 1, window=1), "Active on fewer than 1 of the last 1 day"),
        (rule("modules_completed", "<", 2), "Completed fewer than 2 modules so far"),
        (rule("logins", "=", 1, window=1), "Logged in exactly 1 time today"),
        (
            rule("quiz_pass_rate", "<", 0.6, window=14),
            "Passed less than 60% of the scored quiz attempts in the last 14 days",
        ),
        (
            rule("average_score", "between", [0.305, 1]),
            "The average quiz score so far is between 30.5% and 100%",
        ),
        (
            rule("pace_percentile", "<", 0.25),
            "Less than 25% of the course completes modules faster",
        ),
        (rule("quiz_pass_rate", "null"), "The share of quiz attempts passed so far is unknown"),
        (rule("completion_rate", "notNull"), "The share of modules completed is known"),
        (QUIET, "Last active at least 7 days ago"),
        (rule("days_since_completion", ">", 0.5), "Last completed a module more than 0.5 days ago"),
        (
            rule("modules_stalled", ">=", 1, window=7),
            "Has at least 1 begun module untouched for 7 days",
        ),
        (
            rule("quiz_attempts_change", "<", 0, window=7),
            "Quiz attempts changed by less than 0 from the 7 days before to the last 7 days",
        ),
        (rule("trait", "=", "Wales", key="region"), "Trait region is 'Wales'"),
        (
            rule("trait", "notIn", ["Wales", "Kent"], key="region"),
            "Trait region is none of 'Wales', 'Kent'",
        ),
        (rule("trait", "contains", "a", key="region"), "Trait region contains 'a'"),
        (rule("trait", "null", key="region"), "The trait region is unknown"),
        (
            group(OPEN, group(QUIET, COMPLETED, combinator="or")),
            (
                "Has at least 1 open module and (last active at least 7 days ago"
                " or completed at least 1 module in the last 14 days)"
            ),
        ),
        (group(OPEN, negated=True), "Not (has at least 1 open module)"),
        (
            group(OPEN, group(OPEN, QUIET, combinator="or", negated=True)),
            (
                "Has at least 1 open module"
                " and not (has at least 1 open module or last active at least 7 days ago)"
            ),
        ),
        (
            group(OPEN, group(OPEN, QUIET)),
            (
                "Has at least 1 open module and has at least 1 open module"
                " and last active at least 7 days ago"
            ),
        ),
    ],
)
def test_a_rule_reads_as_english(shape, english):
    assert explain(parse(shape)) == english


@pytest.mark.slow
@given(rule_shapes())
def test_every_rule_can_be_explained(shape):
    english = explain(parse(shape))
    # A name in the rule may have braces of its own.
    assert not [place for place in ("{amount}", "{when}", "{days}", "{arg}") if place in english]
    assert "None" not in english
