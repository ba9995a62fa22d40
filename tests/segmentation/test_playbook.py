"""Installing a shipped playbook, and editing a segment's rules."""

import json
from dataclasses import replace
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from segmentation.models import (
    Membership,
    Playbook,
    PlaybookCourse,
    RulesRevision,
    Segment,
    SegmentStatus,
    SegmentVersion,
    Transition,
)
from segmentation.operations import (
    SegmentationError,
    SegmentFields,
    activate_segment,
    archive_segment,
    create_segment,
    edit_segment,
    install_playbook,
    thaw_segment,
)
from segmentation.rules import RuleError
from segmentation.stages.evaluate import evaluate_due
from tests.factories import NOW, act, make_cast, make_course
from tests.segmentation.factories import (
    ACTED_TODAY,
    QUIET,
    bring_up_to_date,
    make_playbook,
    make_segment,
    where,
)

pytestmark = pytest.mark.django_db


def edit(segment, **changes):
    segment.refresh_from_db()
    return edit_segment(segment.id, replace(SegmentFields.of(segment), **changes), now=NOW)


def test_the_five_segments_are_installed_active_and_exclusive():
    course = make_course()
    playbook = install_playbook("five-segments", now=NOW)
    keys = playbook.segments.order_by("priority").values_list("key", flat=True)
    assert list(keys) == ["stalled", "at-risk", "video-only", "veterans", "active-progress"]
    assert set(playbook.segments.values_list("status", flat=True)) == {SegmentStatus.ACTIVE}
    assert playbook.mode == "exclusive"
    assert list(playbook.courses.all()) == [course]


def test_the_literal_wording_is_a_playbook_of_its_own():
    make_course()
    install_playbook("five-segments", now=NOW)
    literal = install_playbook("five-segments-literal", now=NOW)
    assert (literal.key, literal.mode) == ("five-segments-literal", "overlapping")
    assert Segment.objects.filter(key="stalled").count() == 2


def test_an_installed_playbook_stays_as_it_is_when_another_version_ships():
    playbook = make_playbook(make_course(), key="five-segments")
    segment = make_segment(playbook, ACTED_TODAY, key="stalled")
    install_playbook("five-segments", now=NOW)
    playbook.refresh_from_db()
    segment.refresh_from_db()
    assert playbook.mode == "overlapping"
    assert (segment.rule, segment.version) == (ACTED_TODAY, 1)


def test_transition_because_of_a_redefined_signal_has_the_cause_edit():
    cast = make_cast(live_since=NOW)
    playbook = make_playbook(cast.course)
    moved = make_segment(playbook, where("modules_open", ">=", 1))
    alone = make_segment(playbook, QUIET)
    bring_up_to_date()
    Membership.objects.filter(segment=moved).delete()
    release = import_module("segmentation.migrations.0005_owed_activities")
    with connection.cursor() as cursor:
        cursor.execute(release.MEET_AS_EDITED)
    Transition.objects.all().delete()
    assert evaluate_due(now=NOW).evaluated == 3
    found = Transition.objects.filter(segment=moved).values_list("kind", "cause", "starts")
    assert set(found) == {("enter", "edit", False)}
    unchanged = Segment.objects.get(id=alone.id)
    assert unchanged.changed_revision == alone.changed_revision


def test_installing_again_adds_only_what_is_missing():
    make_course()
    playbook = install_playbook("five-segments", now=NOW)
    edit(playbook.segments.get(key="stalled"), rule=QUIET)
    later = make_course()
    install_playbook("five-segments", now=NOW)
    assert Playbook.objects.count() == 1
    assert Segment.objects.count() == 5
    assert SegmentVersion.objects.count() == 6
    assert playbook.segments.get(key="stalled").version == 2
    assert later in playbook.courses.all()


def test_installing_it_for_some_courses_does_not_affect_others():
    wanted, _ = make_course(), make_course()
    playbook = install_playbook("five-segments", now=NOW, course_keys=[wanted.key])
    assert list(playbook.courses.all()) == [wanted]


def test_installing_on_a_live_course_starts_nothing():
    cast = make_cast(live_since=NOW)
    bring_up_to_date()
    install_playbook("five-segments", now=NOW)
    assert evaluate_due(now=NOW).entered > 0
    assert not Transition.objects.filter(starts=True).exists()
    assert not Transition.objects.filter(processed_at__isnull=True).exists()
    act(cast.bo, "PLAY_VIDEO", item=cast.videos[0], occurred_at=NOW)
    evaluate_due(now=NOW)
    moved = Transition.objects.filter(enrollment=cast.bo, cause="event", starts=True)
    assert dict(moved.values_list("segment__key", "kind")) == {
        "stalled": "leave",
        "at-risk": "enter",
    }


def test_an_unknown_playbook_lists_the_known_ones():
    with pytest.raises(SegmentationError, match=r"no playbook 'six'.*five-segments"):
        install_playbook("six", now=NOW)


def test_an_unknown_course_installs_nothing():
    with pytest.raises(SegmentationError, match="no course 'nowhere'"):
        install_playbook("five-segments", now=NOW, course_keys=["nowhere"])
    assert not Playbook.objects.exists()


def test_the_command_says_what_it_installed():
    make_course(key="history")
    out = StringIO()
    call_command("install_playbook", "five-segments", "--course", "history", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert said["playbook"] == "five-segments"
    assert said["courses"] == ["history"]
    assert len(said["segments"]) == 5


def test_the_command_refuses_an_unknown_name_with_a_sentence():
    with pytest.raises(CommandError, match="five-segments"):
        call_command("install_playbook", "six")


def test_a_draft_has_a_version_and_no_revision():
    segment = make_segment(make_playbook(), QUIET, active=False)
    assert (segment.status, segment.changed_revision) == (SegmentStatus.DRAFT, None)
    assert list(segment.versions.values_list("version", "rule")) == [(1, segment.rule)]


def test_each_activation_and_edit_takes_the_next_number():
    playbook = make_playbook()
    first, second = make_segment(playbook, QUIET), make_segment(playbook, QUIET)
    edited = edit(first, rule=ACTED_TODAY)
    numbers = [first.activated_revision, second.activated_revision, edited.changed_revision]
    assert numbers == [1, 2, 3]
    assert edited.activated_revision == 1
    assert RulesRevision.objects.get().number == 3


def test_changed_texts_make_no_new_version():
    segment = make_segment(make_playbook(), QUIET)
    edited = edit(segment, name="Quiet ones", description="For a week")
    assert (edited.version, edited.changed_revision) == (1, segment.changed_revision)
    assert edited.name == "Quiet ones"


def test_changed_priority_is_evaluated_as_an_edit():
    segment = make_segment(make_playbook(), QUIET)
    edited = edit(segment, priority=1)
    assert (edited.version, edited.changed_revision) == (1, segment.changed_revision + 1)


def test_changed_leave_rule_makes_a_new_version():
    segment = make_segment(make_playbook(), QUIET)
    edited = edit(segment, leave_rule=ACTED_TODAY)
    assert edited.version == 2
    assert edited.versions.first().leave_rule == edited.leave_rule


def test_a_rule_that_cannot_be_read_is_refused_and_nothing_is_saved():
    segment = make_segment(make_playbook(), QUIET)
    broken = {"combinator": "and", "rules": [{"field": "charm", "operator": ">=", "value": 1}]}
    with pytest.raises(RuleError, match=r"rules\[0\]\.field"):
        edit(segment, rule=broken)
    with pytest.raises(RuleError):
        edit(segment, leave_rule=broken)
    with pytest.raises(RuleError):
        create_segment(segment.playbook_id, SegmentFields(key="x", name="x", rule={}), now=NOW)
    assert SegmentVersion.objects.count() == 1


def test_rule_is_stored_without_the_keys_of_the_rule_builder():
    noted = {**QUIET, "id": "abc", "path": []}
    segment = make_segment(make_playbook(), noted)
    assert segment.rule == QUIET


def test_new_rules_thaw_a_frozen_segment():
    segment = make_segment(make_playbook(), QUIET)
    Segment.objects.filter(id=segment.id).update(status=SegmentStatus.FROZEN, error="it failed")
    edited = edit(segment, rule=ACTED_TODAY)
    assert (edited.status, edited.error) == (SegmentStatus.ACTIVE, "")


def test_only_a_frozen_segment_can_be_thawed():
    segment = make_segment(make_playbook(), QUIET)
    with pytest.raises(SegmentationError, match="is not frozen"):
        thaw_segment(segment.id, now=NOW)


def test_activating_twice_changes_nothing():
    segment = make_segment(make_playbook(), QUIET)
    again = activate_segment(segment.id, now=NOW, include_present=True)
    assert again.activated_revision == segment.activated_revision
    assert not again.include_present


def test_an_archived_segment_can_come_back():
    cast = make_cast()
    segment = make_segment(make_playbook(cast.course), QUIET)
    bring_up_to_date()
    archive_segment(segment.id, now=NOW)
    bring_up_to_date()
    activate_segment(segment.id, now=NOW)
    evaluate_due(now=NOW)
    causes = Transition.objects.values_list("kind", "cause", "starts")
    assert set(causes) == {("enter", "baseline", False)}


def test_change_reaches_the_queue_by_the_next_evaluation():
    cast = make_cast()
    playbook = make_playbook(cast.course)
    bring_up_to_date()
    make_segment(playbook, QUIET)
    playbook.refresh_from_db()
    assert PlaybookCourse.objects.get().pulled_revision < playbook.changed_revision
    assert evaluate_due(now=NOW).evaluated == 3
    assert evaluate_due(now=NOW).evaluated == 0
    assert PlaybookCourse.objects.get().pulled_revision == playbook.changed_revision
