"""The names of a signal: its identity in memberships, its column in exports."""

import csv
from dataclasses import replace
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from segmentation.models import Membership
from segmentation.rules import conditions, evaluate, find_ref, parse, to_json
from segmentation.signals import SIGNALS, SIGNALS_BY_NAME, Argument, SignalRef, Window, usual_refs
from segmentation.signals.activity import ENROLLED
from segmentation.signals.consistency import CONSISTENCY
from segmentation.signals.log import MESSAGES
from segmentation.signals.scores import FIFTHS
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_cast, make_enrollment, make_learner
from tests.segmentation.factories import make_playbook, make_segment, members, where
from tests.segmentation.rule_strategies import NAMES, names

TRAIT = SIGNALS_BY_NAME["trait"]
# Like future signals with several arguments. A window may follow them.
TWO = replace(
    TRAIT,
    name="two",
    args=(Argument("playbook", "Playbook"), Argument("segment", "Segment")),
    window=Window.OPTIONAL,
)
RESERVED = {"field", "window", "operator", "value", "valueSource", "id", "path", "rules", "not"}


@pytest.mark.parametrize(
    ("name", "window", "args", "identity", "column"),
    [
        ("active_days", 7, (), '{"field":"active_days","window":7}', "active_days_7"),
        ("quiz_pass_rate", None, (), '{"field":"quiz_pass_rate"}', "quiz_pass_rate_all"),
        ("modules_open", None, (), '{"field":"modules_open"}', "modules_open"),
        ("trait", None, ("region",), '{"field":"trait","key":"region"}', "trait_region"),
        ("trait", None, ("imd-band",), '{"field":"trait","key":"imd-band"}', "trait_imd-band"),
        ("trait", None, ("región",), '{"field":"trait","key":"región"}', "trait_región"),
        (
            "event_count",
            7,
            ("PURCHASE", "", "quiz", "a:b", "", ""),
            '{"field":"event_count","kind":"quiz","topic":"a:b","verb":"PURCHASE","window":7}',
            "event_count_PURCHASE:kind=quiz:topic=a%3Ab_7",
        ),
        ("trait", None, ('a"b%:',), '{"field":"trait","key":"a\\"b%:"}', 'trait_a"b%25%3A'),
    ],
)
def test_identity_is_canonical_json_and_the_column_follows_from_it(
    name, window, args, identity, column
):
    ref = SignalRef(SIGNALS_BY_NAME[name], window, args)
    assert (ref.identity, ref.column) == (identity, column)


two_refs = st.builds(
    SignalRef,
    st.just(TWO),
    st.none() | st.integers(1, 366),
    st.tuples(names | st.sampled_from(("a", "a:b", "7", "all")), names | st.just("b")),
)


@pytest.mark.slow
@given(two_refs, two_refs)
def test_identities_and_columns_tell_any_two_signals_apart(one, other):
    assert (one.identity == other.identity) is (one == other)
    assert (one.column == other.column) is (one == other)


def test_column_separates_arguments_unambiguously():
    pairs = (("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("a", "b%3Ac"))
    assert len({SignalRef(TWO, None, pair).column for pair in pairs}) == len(pairs)


def test_no_argument_is_named_like_a_key_of_the_rule_builder():
    assert not RESERVED & {argument.key for signal in SIGNALS for argument in signal.args}


def test_no_column_of_an_argument_can_be_that_of_another_signal():
    with_args = [signal.name for signal in SIGNALS if signal.args]
    assert not [
        (name, signal.name)
        for name in with_args
        for signal in SIGNALS
        if signal.name.startswith(f"{name}_")
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sampled(3)
def test_trait_of_any_name_can_be_used_stored_and_exported(name, tmp_path):
    wales = make_enrollment(learner=make_learner(traits={name: "Wales"}))
    kent = make_enrollment(wales.course, make_learner(traits={name: "Kent"}))
    shape = where("trait", "=", "Wales", key=name)
    assert to_json(parse(shape)) == shape
    segment = make_segment(make_playbook(wales.course), shape)
    evaluate_due(now=NOW)
    assert members(segment) == {wales.id}
    (stay,) = Membership.objects.filter(segment=segment)
    ((kept, value),) = stay.signals.items()
    assert (find_ref(kept), value) == (SignalRef(TRAIT, None, (name,)), "Wales")
    assert evaluate(parse(shape), stay.signals) is True
    (ref,) = (condition.ref for condition in conditions(parse(shape)))
    rows = exported(wales.course, tmp_path / "signals.csv")
    assert {row["learner"]: row[ref.column] for row in rows} == {
        wales.learner.external_id: "Wales",
        kent.learner.external_id: "Kent",
    }


def exported(course, path):
    arguments = ("--course", course.key, "--as-of", NOW.isoformat(), "--out", str(path))
    call_command("export_signals", *arguments)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# Signals that came after their names had become JSON.
LATER = {signal.name for signal in (*CONSISTENCY, *MESSAGES, *FIFTHS, ENROLLED)}
OLD = {
    **{ref.column: ref.identity for ref in usual_refs() if ref.signal.name not in LATER},
    "quiz_attempts_change_3": '{"field":"quiz_attempts_change","window":3}',
    "quiz_attempts_366": '{"field":"quiz_attempts","window":366}',
    "trait_region": '{"field":"trait","key":"region"}',
    "trait_num_of_prev_attempts_7": '{"field":"trait","key":"num_of_prev_attempts_7"}',
    # An unknown name is shown unchanged.
    "charm_7": "charm_7",
    "modules_open_7": "modules_open_7",
}


def migrate():
    """Run the data migration on the current database."""
    migration = import_module("segmentation.migrations.0008_signals_by_identity")
    with connection.schema_editor() as editor:
        migration.rename_signals(apps, editor)


@pytest.mark.django_db
def test_signals_that_earlier_releases_stored_are_read_by_their_identities():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), where("modules_open", ">=", 0))
    evaluate_due(now=NOW)
    values = dict(zip(OLD, [0, 1.5, None, ["Wales"], "it's", *range(99)], strict=False))
    stays = Membership.objects.filter(segment=segment)
    stays.filter(enrollment=cast.ana).update(signals=values)
    stays.filter(enrollment=cast.bo).update(signals={})
    new = stays.get(enrollment=cast.cy).signals
    migrate()
    expected = {OLD[column]: value for column, value in values.items()}
    assert len(expected) == len(OLD)
    for _ in range(2):
        assert stays.get(enrollment=cast.ana).signals == expected
        assert stays.get(enrollment=cast.bo).signals == {}
        assert stays.get(enrollment=cast.cy).signals == new
        # A second run changes nothing.
        migrate()
    unknown = {"charm_7", "modules_open_7"}
    assert {name for name in expected if find_ref(name) is None} == unknown
