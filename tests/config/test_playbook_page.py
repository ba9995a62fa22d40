"""A playbook in words, with warnings that have reasons, and its files."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from config.documents.playbook import (
    PlaybookDocument,
    members_needed,
    playbook_document,
    separations_of,
    shown_courses,
)
from experiments.models import Experiment
from segmentation.models import Membership, Playbook, Segment
from segmentation.operations import SegmentFields, edit_segment
from tests.factories import NOW, make_course, make_enrollment
from tests.interventions.factories import (
    arm_of,
    make_cadence,
    make_experiment,
    make_live_course,
)
from tests.segmentation.factories import ACTED_TODAY, QUIET, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def make_staff(*rights: str) -> Any:
    user = get_user_model().objects.create_user("some", is_staff=True)
    names = [each.split(".")[1] for each in rights]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


def document(playbook: Playbook) -> PlaybookDocument:
    viewer = get_user_model()(is_superuser=True, is_active=True)
    apart = separations_of(playbook, shown_courses(playbook, viewer=viewer), now=NOW)
    return playbook_document(playbook, apart, viewer=viewer)


def stay(enrollment: Any, segment: Segment, *, ago: int, days: int | None = None) -> None:
    begins = NOW - ago * DAY
    Membership.objects.create(
        enrollment=enrollment,
        segment=segment,
        entered_at=begins,
        left_at=None if days is None else begins + days * DAY,
        version=1,
    )


def test_number_of_members_equals_the_published_table() -> None:
    # Cohen (1988), table 2.4.1: 1,571 per group for d = .10, power .80, two-sided .05.
    assert members_needed() == 2 * 1571


def test_each_segment_says_its_rule_its_size_and_what_it_receives() -> None:
    course = make_live_course(title="Biology")
    segment = make_segment(make_playbook(course), ACTED_TODAY, name="Quiet")
    make_cadence(segment=segment, name="Weekly", trigger="leave")
    experiment = make_experiment(segment, name="Half")
    for _ in range(3):
        stay(make_enrollment(course), segment, ago=3)

    (section,) = document(segment.playbook).sections

    assert section.rule == "Active on at least 1 of the last 1 day"
    assert section.sizes == [("Biology", 3)]
    assert section.receives[0].startswith("Weekly, after leaving the segment")
    assert section.experiments == [experiment]
    assert [signal.name for signal in document(segment.playbook).signals] == ["active_days"]


def test_segments_with_the_same_members_are_nearly_the_same() -> None:
    course = make_live_course(title="Biology")
    playbook = make_playbook(course)
    one, two, far = (make_segment(playbook, ACTED_TODAY, name=name) for name in ("A", "B", "C"))
    learners = [make_enrollment(course) for _ in range(10)]
    for learner in learners[:9]:
        stay(learner, one, ago=5)
    for learner in learners[1:9]:
        stay(learner, two, ago=5)
    stay(learners[9], far, ago=5)

    # 8 of 9 are in both.
    assert document(playbook).warnings == [
        "In Biology, “A” and “B” are nearly the same: 89% of the members of either are in both."
    ]


def test_more_than_five_segments_are_too_many() -> None:
    playbook = make_playbook(make_live_course())
    for _ in range(5):
        make_segment(playbook, ACTED_TODAY)
    make_segment(playbook, ACTED_TODAY, active=False)
    assert document(playbook).warnings == []

    make_segment(playbook, ACTED_TODAY)

    assert "It has 6 active segments." in document(playbook).warnings[0]


def test_warnings_of_a_segment_have_reasons() -> None:
    course = make_live_course(title="Biology")
    playbook = make_playbook(course)
    empty, flapping = (make_segment(playbook, ACTED_TODAY, name=name) for name in ("E", "F"))
    make_segment(playbook, ACTED_TODAY, name="Draft", active=False)
    make_cadence(segment=flapping)
    for days in (1, 2, None, None, None):
        stay(make_enrollment(course), flapping, ago=9, days=days)
    # The last 28 days are local days: at noon, 28 times 24 hours ago is a day before them.
    stay(make_enrollment(course), flapping, ago=28, days=1)

    said = {each.segment.name: each.warnings for each in document(playbook).sections}

    assert said["E"] == [
        "It triggers nothing: no active cadence starts on it.",
        "In Biology, nobody is in it.",
    ]
    few, flaps = said["F"]
    assert "In Biology, 3 members are too few to detect a small effect" in few
    assert "3,142" in few
    assert "In Biology, 40% of the entries of the last 28 days ended within two days." in flaps
    assert said["Draft"] == []
    assert empty.pk


def test_page_and_files_open(staff: Client) -> None:
    playbook = make_playbook(make_live_course(), key="mine", name="Mine")
    make_segment(playbook, ACTED_TODAY, name="Qui<et")

    page = staff.get(reverse("playbook", args=(playbook.pk,)))
    markdown = staff.get(reverse("playbook-markdown", args=(playbook.pk,)))
    yaml = staff.get(reverse("playbook-yaml", args=(playbook.pk,)))

    assert "Qui&lt;et" in page.text
    assert "## Qui<et (active)" in markdown.text
    assert "name: Qui<et" in yaml.text
    assert 'filename="mine.yaml"' in yaml["Content-Disposition"]


def test_playbook_without_course_or_segment_says_what_to_do(staff: Client) -> None:
    page = staff.get(reverse("playbook", args=(make_playbook().pk,))).text

    assert "Kept for no course" in page
    assert "The playbook has no segment." in page


def test_document_costs_the_same_for_any_number_of_segments(
    django_assert_max_num_queries: Any,
) -> None:
    playbook = make_playbook(make_live_course())
    for _ in range(6):
        segment = make_segment(playbook, ACTED_TODAY)
        make_cadence(segment=segment, trigger="leave")
        make_experiment(segment)
    with django_assert_max_num_queries(10):
        document(playbook)


def test_file_is_checked_first_and_applied_by_a_second_button(staff: Client) -> None:
    playbook = make_playbook(make_course(), key="mine")
    segment = make_segment(playbook, ACTED_TODAY, name="Old")
    address = reverse("playbook-import", args=(playbook.pk,))
    text = staff.get(reverse("playbook-yaml", args=(playbook.pk,))).text
    text = text.replace("name: Old", "name: New")

    checked = staff.post(address, {"file": SimpleUploadedFile("a.yaml", text.encode())})
    segment.refresh_from_db()
    assert "“Old” changes its name." in checked.text
    assert segment.name == "Old"
    assert "name: New" in checked.text

    applied = staff.post(address, applying(checked), follow=True)
    segment.refresh_from_db()
    assert "“Old” changes its name." in applied.text
    assert segment.name == "New"


def applying(page: Any) -> dict[str, str]:
    """Return what the browser sends when "Apply" is pressed."""
    return {"text": page.context["text"], "seen": page.context["seen"], "apply": "1"}


def test_change_of_the_mode_alone_is_said_and_applied(staff: Client) -> None:
    playbook = make_playbook(make_course(), key="mine", name="Mine")
    address = reverse("playbook-import", args=(playbook.pk,))
    text = "key: mine\nname: Yours\nmode: exclusive\nsegments: []\n"

    checked = staff.post(address, {"text": text})
    assert "The playbook “Mine” is renamed to “Yours”." in checked.text
    assert "The playbook becomes exclusive: each learner is in one" in checked.text

    applied = staff.post(address, applying(checked), follow=True)
    playbook.refresh_from_db()
    assert (playbook.name, playbook.mode) == ("Yours", "exclusive")
    assert "The playbook becomes exclusive" in applied.text
    assert "The file changes nothing." in staff.post(address, {"text": text}).text


def test_edit_between_check_and_apply_is_not_lost(staff: Client) -> None:
    playbook = make_playbook(make_course(), key="mine")
    segment = make_segment(playbook, ACTED_TODAY, name="Old")
    address = reverse("playbook-import", args=(playbook.pk,))
    text = staff.get(reverse("playbook-yaml", args=(playbook.pk,))).text
    checked = staff.post(address, {"text": text.replace("name: Old", "name: New")})
    fields = replace(SegmentFields.of(segment), rule=QUIET)
    edit_segment(segment.pk, fields, now=NOW)

    page = staff.post(address, applying(checked))

    segment.refresh_from_db()
    assert (segment.name, segment.rule) == ("Old", QUIET)
    assert "is not as it was when you checked the file. Nothing was changed." in page.text
    assert "“Old” changes its name and its rule." in page.text
    staff.post(address, applying(page))
    segment.refresh_from_db()
    assert (segment.name, segment.rule) == ("New", ACTED_TODAY)


def test_cadence_of_an_experiment_is_what_the_segment_receives() -> None:
    segment = make_segment(make_playbook(make_live_course()), ACTED_TODAY)
    experiment = make_experiment(segment, start=False)
    arms = {"arm": arm_of(experiment, "nudge"), "ghost_for": arm_of(experiment, "control")}
    make_cadence(segment=segment, name="Try it", **arms)

    (section,) = document(segment.playbook).sections

    assert section.receives is not None
    assert section.receives[0].startswith(
        "Try it, after entering the segment, only the arm “nudge”"
    )
    assert not any("triggers nothing" in each for each in section.warnings)


def test_experiment_on_the_whole_playbook_is_evidence(staff: Client) -> None:
    playbook = make_playbook(make_live_course())
    segment = make_segment(playbook, ACTED_TODAY)
    experiment = make_experiment(segment, name="On all")
    Experiment.objects.update(segment=None, playbook=playbook)

    assert document(playbook).experiments == [experiment]
    assert "On all" in staff.get(reverse("playbook", args=(playbook.pk,))).text
    assert "- On all" in staff.get(reverse("playbook-markdown", args=(playbook.pk,))).text


def test_a_viewer_without_cadences_is_not_told_that_there_are_none(client: Client) -> None:
    playbook = make_playbook(make_live_course())
    make_cadence(segment=make_segment(playbook, ACTED_TODAY), name="Secret")
    client.force_login(make_staff("segmentation.view_playbook"))

    page = client.get(reverse("playbook", args=(playbook.pk,))).text

    assert "Secret" not in page
    assert "What it receives" not in page
    assert "triggers nothing" not in page


@pytest.mark.slow
def test_rule_for_leaving_keeps_its_capitals(staff: Client) -> None:
    playbook = make_playbook(make_live_course())
    leave = where("trait", "=", "B2", key="Level")
    segment = make_segment(playbook, ACTED_TODAY, leave_rule=leave)

    for address in (
        reverse("playbook", args=(playbook.pk,)),
        reverse("playbook-markdown", args=(playbook.pk,)),
        reverse("segment", args=(segment.pk,)),
    ):
        assert "B2" in staff.get(address).text.split("A member leaves when:")[1]


def test_file_of_a_segment_whose_rule_cannot_be_read_opens(staff: Client) -> None:
    playbook = make_playbook(make_live_course(), key="mine")
    make_segment(playbook, ACTED_TODAY)
    Segment.objects.update(rule={"rules": 7})

    yaml = staff.get(reverse("playbook-yaml", args=(playbook.pk,)))

    assert "# This rule cannot be read" in yaml.text


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[", b"key: other"])
def test_faulty_file_keeps_what_was_sent(content: bytes, staff: Client) -> None:
    playbook = make_playbook(make_course(), key="mine")
    address = reverse("playbook-import", args=(playbook.pk,))

    page = staff.post(address, {"file": SimpleUploadedFile("a.yaml", content), "apply": "1"})

    assert page.status_code == 200
    assert 'role="alert"' in page.text
    typed = staff.post(address, {"text": "[ typed"}).text
    assert "[ typed</textarea>" in typed
