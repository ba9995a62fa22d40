"""The command that compares SQL, Python and evaluation driven by Due."""

import json
import operator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from random import Random

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from activity.models import Course, Due, Event, Learner
from activity.operations import ingest
from segmentation.models import Membership, Norms, Playbook, Segment, Transition
from segmentation.operations import install_playbook, remove_member
from segmentation.operations.revisions import pull_changed
from segmentation.proof import generated
from segmentation.proof.random_rules import random_refs
from segmentation.proof.signals import compare_signals
from segmentation.queries import read_signals
from segmentation.rules import OPERATORS
from segmentation.signals import SIGNALS, SIGNALS_BY_NAME
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, make_cast, make_course, make_enrollment, make_event
from tests.long import longer
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    make_playbook,
    make_segment,
    members,
    where,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
DAY = timedelta(days=1)
PAST = NOW - 10 * DAY
KEPT = (Course, Due, Event, Learner, Membership, Norms, Playbook, Transition)


def run(*arguments):
    out = StringIO()
    call_command("prove_segments", *arguments, stdout=out)
    return out.getvalue()


def everything():
    return [list(model.objects.order_by("pk").values()) for model in KEPT]


def test_on_a_live_course_they_agree_and_nothing_is_kept():
    cast = make_cast()
    install_playbook("five-segments", now=NOW)
    evaluate_due(now=NOW)
    before = everything()
    said = json.loads(run("--course", cast.course.key, "--as-of", NOW.isoformat(), "--json"))
    assert said == {
        "agree": True,
        "instants": 8,
        "comparisons": 8 * 5 * 3,
        "cases": 0,
        "difference": None,
    }
    assert everything() == before


def test_learner_who_was_not_due_but_would_change_segments_is_named():
    cast = make_cast()
    make_segment(make_playbook(cast.course), QUIET, key="quiet")
    evaluate_due(now=NOW)
    # As if an evaluation had computed a wrong due instant and a membership were out of date.
    Membership.objects.filter(enrollment=cast.bo).update(left_at=NOW)
    with pytest.raises(CommandError) as refused:
        run("--as-of", NOW.isoformat())
    said = str(refused.value)
    assert f"'{cast.bo.learner.external_id}'" in said
    assert "'quiet'" in said
    assert "would enter if evaluated now, but was not due" in said


def test_a_past_instant_is_read_only():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    evaluate_due(now=NOW)
    said = json.loads(run("--as-of", (NOW - timedelta(days=20)).isoformat(), "--json"))
    assert (said["agree"], said["instants"]) == (True, 1)
    assert members(segment) == set()


def agrees_in_the_past(cast):
    return json.loads(run("--course", cast.course.key, "--as-of", PAST.isoformat(), "--json"))


@pytest.fixture
def proven():
    """Return the cast, evaluated a day before the past instant, and a segment not due daily."""
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    Due.objects.update(due_at=PAST - DAY)
    evaluate_due(now=PAST - DAY)
    return cast, segment


def test_learner_who_enrolled_after_the_instant_is_no_difference(proven):
    cast, _ = proven
    make_enrollment(cast.course)
    before = everything()
    said = agrees_in_the_past(cast)
    assert (said["agree"], said["instants"]) == (True, 8)
    assert everything() == before


def test_an_act_that_was_received_after_the_instant_is_no_difference(proven):
    cast, segment = proven
    assert cast.cy.id in members(segment)
    ingest([make_event(cast.cy, occurred_at=PAST - timedelta(hours=1))], now=NOW)
    assert agrees_in_the_past(cast)["agree"]


def test_a_rule_that_was_edited_after_the_instant_is_no_difference(proven):
    cast, segment = proven
    make_segment(segment.playbook, where("modules_open", ">=", 0))
    # As if the process had died between the pull and the evaluation.
    pull_changed(now=NOW)
    assert agrees_in_the_past(cast)["agree"]


def test_override_after_the_instant_is_no_difference(proven):
    cast, segment = proven
    remove_member(segment.id, cast.cy.id, now=NOW)
    assert agrees_in_the_past(cast)["agree"]


@pytest.mark.parametrize(
    ("learners", "days", "rules"),
    [
        (4, 5, 6),
        *longer(
            "test_without_courses_a_simulated_one_is_used_and_not_kept",
            (generated.LEARNERS, generated.DAYS, generated.RULES),
        ),
    ],
)
def test_without_courses_a_simulated_one_is_used_and_not_kept(learners, days, rules, monkeypatch):
    simulate_fewer(monkeypatch, learners, days, rules)
    assert "agree" in run()
    assert not Course.objects.exists()
    assert not Playbook.objects.exists()


def simulate_fewer(monkeypatch, learners, days, rules):
    monkeypatch.setattr(generated, "LEARNERS", learners)
    monkeypatch.setattr(generated, "DAYS", days)
    monkeypatch.setattr(generated, "RULES", rules)


def test_further_courses_are_simulated_until_there_are_enough_cases(monkeypatch):
    simulate_fewer(monkeypatch, 2, 1, 2)
    said = json.loads(run("--cases", "8", "--json"))
    assert said["agree"]
    assert said["cases"] >= 8
    assert said["instants"] > 2, "one course has two instants"


def plant_in_an_operator(monkeypatch):
    wrong = replace(OPERATORS[">="], python=operator.gt)
    monkeypatch.setitem(OPERATORS, ">=", wrong)


def plant_in_a_signal(monkeypatch):
    signal = SIGNALS_BY_NAME["active_days"]

    def one_day_more(ref, sources):
        return signal_sql(replace(ref, window=ref.window + 1), sources)

    signal_sql = signal.sql
    monkeypatch.setitem(vars(signal), "sql", one_day_more)


def plant_in_a_zone(_):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE activity_zoneperiod SET utc_offset = utc_offset - interval '5 hours'"
            " WHERE zone = 'Pacific/Auckland'"
        )


def test_a_planted_fault_in_any_signal_is_found(monkeypatch):
    simulate_fewer(monkeypatch, 12, 14, 1)
    course = generated.generate_course(1)
    now = course.instants[-4]
    course.tell(now)
    refs = [ref for seed in range(12) for ref in random_refs(Random(seed))]
    assert compare_signals(course.course, refs, as_of=now) is None

    missed = []
    for signal in SIGNALS:
        of_signal = [ref for ref in refs if ref.signal is signal]
        sql = signal.sql

        def unknown(ref, sources, sql=sql):
            compiled = sql(ref, sources)
            return replace(compiled, sql=f"nullif({compiled.sql}, {compiled.sql})")

        with monkeypatch.context() as planted:
            planted.setitem(vars(signal), "sql", unknown)
            if compare_signals(course.course, of_signal, as_of=now) is None:
                missed.append(signal.name)
    assert missed == []


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (plant_in_an_operator, "the rule is true in"),
        (plant_in_a_signal, 'the signal {"field":"active_days"'),
        (plant_in_a_zone, "the signal "),
    ],
    ids=["operator", "signal", "zone"],
)
def test_a_planted_fault_is_found(plant, says, monkeypatch):
    simulate_fewer(monkeypatch, 4, 6, 12)
    plant(monkeypatch)
    with pytest.raises(CommandError) as found:
        run("--generated", "--seed", "1")
    assert says in str(found.value)


def test_an_unclear_instant_is_refused():
    make_cast()
    with pytest.raises(CommandError, match="no offset"):
        run("--as-of", "2025-09-30T12:00:00")


@pytest.mark.parametrize("status", ["draft", "frozen", "archived"])
def test_a_course_without_an_active_segment_gets_a_sentence(status):
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), ACTED_TODAY)
    Segment.objects.filter(pk=segment.pk).update(status=status)
    said = run("--course", cast.course.key, "--as-of", NOW.isoformat())
    assert said.startswith(f"Course '{cast.course.key}' has no active segment: nothing to compare.")


def test_of_all_courses_those_without_an_active_segment_are_named_and_the_others_compared():
    idle, cast = make_course(), make_cast()
    make_segment(make_playbook(cast.course), ACTED_TODAY)
    said = run("--as-of", NOW.isoformat())
    assert f"Course '{idle.key}' has no active segment" in said
    assert "agree: 24 comparisons at 8 instants." in said


def test_without_an_active_segment_the_json_is_still_json():
    said = json.loads(run("--course", make_course().key, "--as-of", NOW.isoformat(), "--json"))
    assert said == {"agree": True, "instants": 0, "comparisons": 0, "cases": 0, "difference": None}


def test_export_without_signals_has_only_the_learners():
    cast = make_cast()
    rows = list(read_signals(cast.course, [], as_of=NOW))
    assert [row.signals for row in rows] == [{}, {}, {}]
