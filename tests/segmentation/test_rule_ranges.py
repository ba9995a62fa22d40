"""A value that its signal cannot have is refused in new rules, but read in stored ones."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given

from segmentation.models import Segment
from segmentation.operations import SegmentFields, create_segment, edit_segment
from segmentation.operations.definitions import read_definitions
from segmentation.operations.playbooks import PLAYBOOKS
from segmentation.rules import RuleError, check_ranges, explain, parse
from segmentation.signals import SIGNALS, SignalKind
from tests.factories import NOW, make_course
from tests.segmentation.factories import make_playbook, make_segment, where
from tests.segmentation.rule_strategies import rule_shapes

RATES = [signal for signal in SIGNALS if signal.kind is SignalKind.RATE]
PERCENT = where("quiz_pass_rate", "<", 60)
NINE_OF_SEVEN = where("active_days", ">=", 9, window=7)


def refused(shape):
    with pytest.raises(RuleError) as caught:
        check_ranges(parse(shape))
    return str(caught.value)


@pytest.mark.parametrize("signal", RATES, ids=lambda signal: signal.name)
@pytest.mark.parametrize("value", [60, 1.01, -0.1])
def test_every_rate_is_between_0_and_1(signal, value):
    window = {} if signal.window == "none" else {"window": 7}

    assert "must be a rate between 0 and 1" in refused(where(signal.name, "<", value, **window))
    assert check_ranges(parse(where(signal.name, "<", 1, **window)))


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (PERCENT, "rules[0].value: must be a rate between 0 and 1, is 60; 0.6 is 60%"),
        (where("average_score", "<", 45), "is 45; 0.45 is 45%"),
        (
            where("quiz_pass_rate", "between", [0.2, 80]),
            "rules[0].value[1]: must be a rate between 0 and 1, is 80; 0.8 is 80%",
        ),
        (
            NINE_OF_SEVEN,
            "rules[0].value: must be from 0 to 7, the days of the window, is 9",
        ),
        (where("logins", "<", -1, window=7), "rules[0].value: cannot be below 0, is -1"),
        (where("days_since_activity", ">", -1), "rules[0].value: cannot be below 0, is -1"),
        (
            {"combinator": "or", "rules": [where("logins", "=", 1, window=7), PERCENT]},
            "rules[1].rules[0].value: must be a rate",
        ),
    ],
)
def test_refusal_names_the_path_and_the_range(shape, sentence):
    assert sentence in refused(shape)


@pytest.mark.parametrize(
    "shape",
    [
        where("active_days", ">=", 7, window=7),
        where("logins", ">=", 500, window=7),
        where("quiz_attempts_change", "<", -3, window=7),
        where("quiz_pass_rate", "null"),
        where("trait", "=", "Wales", key="region"),
    ],
)
def test_possible_value_of_a_signal_is_accepted(shape):
    assert check_ranges(parse(shape))


@pytest.mark.slow
@given(rule_shapes(meant=True))
def test_rules_with_values_in_range_are_accepted(shape):
    assert check_ranges(parse(shape))


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_playbooks_use_possible_values(path):
    for segment in json.loads(path.read_text())["segments"]:
        for rule in filter(None, (segment["rule"], segment.get("leave_rule"))):
            assert check_ranges(parse(rule))


@pytest.mark.django_db
@pytest.mark.parametrize("rules", [{"rule": PERCENT}, {"leave_rule": NINE_OF_SEVEN}])
def test_segment_with_a_value_out_of_range_is_neither_created_nor_edited(rules):
    fair = {"rule": where("logins", ">=", 1, window=7)}
    segment = make_segment(make_playbook(), fair["rule"])
    fields = SegmentFields(**({"key": "new", "name": "New"} | fair | rules))

    with pytest.raises(RuleError):
        create_segment(segment.playbook_id, fields, now=NOW)
    with pytest.raises(RuleError):
        edit_segment(segment.pk, fields, now=NOW)


@pytest.mark.django_db
def test_rule_stored_before_is_still_read():
    course = make_course()
    segment = make_segment(make_playbook(course), where("logins", ">=", 1, window=7))
    Segment.objects.filter(pk=segment.pk).update(rule=PERCENT)

    (definition,) = read_definitions(course.pk).active

    assert explain(definition.rules.rule).startswith("Passed less than 6000%")


@pytest.mark.django_db
def test_preview_of_a_value_out_of_range_is_refused(tmp_path):
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(PERCENT))
    course = make_course()

    with pytest.raises(CommandError, match="0\\.6 is 60%"):
        call_command(
            "preview_rule",
            str(file),
            course=course.key,
            as_of=NOW.isoformat(),
            stdout=StringIO(),
        )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("=>", ">="), ("=<", "<="), ("==", "="), ("<>", "!="), ("≥", ">="), ("betwen", "between")],
)
def test_operator_of_another_language_suggests_ours(typed, meant):
    with pytest.raises(RuleError, match=f"did you mean '{meant}'"):
        parse(where("logins", typed, 1, window=7))
