"""Pages of segments and members: the members, the reasons, and why a draft has no members."""

import json
import re
from datetime import date, timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import RequestFactory
from django.urls import reverse
from django.utils.html import escape

from activity.models import Course
from segmentation.admin.reasons import reasons_text
from segmentation.models import Membership, Segment, SegmentVersion
from segmentation.operations import archive_segment
from segmentation.stages.evaluate import evaluate_due
from tests.admin.test_finding import links, rows
from tests.factories import NOW, act, make_course, make_enrollment, make_learner
from tests.segmentation.factories import ACTED_TODAY, identity, make_playbook, make_segment, where

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.fixture
def member():
    """Return the membership of Kit, who entered a segment by an act of today."""
    course = make_course(title="Botany")
    kit = make_enrollment(course, make_learner(name="Kit Berg"))
    make_segment(make_playbook(course), ACTED_TODAY, name="Here today")
    act(kit)
    evaluate_due(now=NOW)
    return Membership.objects.get()


def change_page(staff, row):
    meta = row._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=(row.pk,))
    return staff.get(url)


def members(staff, **query):
    return rows(staff, f"{reverse('admin:segmentation_membership_changelist')}?{encoded(query)}")


def encoded(query):
    return "&".join(f"{key}={value}" for key, value in query.items())


def test_segment_page_and_list_link_to_its_present_members(staff, member):
    gone = make_enrollment(member.enrollment.course)
    Membership.objects.create(
        enrollment=gone, segment=member.segment, entered_at=NOW, left_at=NOW, version=1
    )
    page = change_page(staff, member.segment)
    listed = staff.get(reverse("admin:segmentation_segment_changelist")).content.decode()

    assert rows(staff, links(page)["Members now"]) == [member]
    assert [row.enrollment for row in rows(staff, links(page)["Members who left"])] == [gone]
    address = f"{reverse('admin:segmentation_membership_changelist')}?segment__id__exact="
    assert f'href="{address}{member.segment_id}">1</a>' in listed


def test_member_list_shows_present_members_by_default(staff, member):
    left = Membership.objects.create(
        enrollment=make_enrollment(), segment=member.segment, entered_at=NOW, left_at=NOW, version=1
    )

    assert members(staff) == members(staff, stay="in") == [member]
    assert members(staff, stay="left") == [left]


@pytest.mark.parametrize("stay", ["in", "left"])
def test_members_of_a_segment_are_read_from_an_index(member, staff, stay):
    request = RequestFactory().get("/", {"stay": stay, "segment__id__exact": member.segment_id})
    request.user = get_user_model().objects.get(username="staff")
    request.session = {}
    listed = admin.site._registry[Membership].get_changelist_instance(request).queryset
    with connection.cursor() as cursor:
        # A small table is always read whole or by its key. This forces the use of the index.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")

    # Several indexes begin with the segment, and on a table of one row any of them may be chosen.
    # With the names that a page shows, the planner may even begin at the learner.
    plan = listed.order_by().select_related(None).explain()
    assert f"Index Cond: (segment_id = {member.segment_id})" in plan


def test_name_in_the_member_list_leads_to_the_learner_and_the_reason_to_the_membership(
    staff, member
):
    address = reverse("admin:segmentation_membership_changelist")
    text = staff.get(address).content.decode()
    learner = reverse("learner", args=(member.enrollment.learner_id,))
    own = reverse("admin:segmentation_membership_change", args=(member.pk,))

    assert f'href="{learner}?enrollment={member.enrollment_id}">Kit Berg in Botany</a>' in text
    assert re.search(rf'href="{own}[^"]*"[^>]*>\s*Active on 1 of the last 1 day', text)
    assert f"Here today ({member.segment.playbook.name})" in text
    assert member.segment.playbook.key not in text


def test_member_page_describes_the_membership_in_words(staff, member):
    text = change_page(staff, member).content.decode()

    assert f"Kit Berg in Botany in Here today ({member.segment.playbook.name})" in text
    assert reverse("admin:activity_learner_change", args=(member.enrollment.learner_id,)) in text
    assert reverse("admin:segmentation_segment_change", args=(member.segment_id,)) in text
    assert "Active on at least 1 of the last 1 day" in text
    assert "Active on 1 of the last 1 day<" in text
    assert "active_days" not in text


def test_member_list_shows_rounded_reasons_in_words(staff, member):
    Membership.objects.update(
        signals={identity("active_days", 7): 3, identity("days_since_activity"): 41.28856481481481}
    )
    text = staff.get(reverse("admin:segmentation_membership_changelist")).content.decode()

    assert "Active on 3 of the last 7 days; Last active 41.2 days ago" in text
    assert "41.28856" not in text
    assert "active_days" not in text


def test_member_page_shows_the_rule_of_the_version_at_entry(staff, member):
    Segment.objects.update(rule=where("logins", ">=", 5, window=7))

    assert "Active on at least 1 of the last 1 day" in change_page(staff, member).content.decode()


def cells(page):
    """Return the rows of the table of reasons, without tags."""
    table = page.content.decode().split("<tbody>")[1].split("</tbody>")[0]
    rows = [row.split("</td>") for row in table.split("<tr")[1:]]
    return [[re.sub(r"^.*>", "", cell.strip()) for cell in row[:-1]] for row in rows]


def test_member_page_shows_values_at_entry_and_now_with_the_deciding_ones_first(staff, member):
    course = member.enrollment.course
    either = {"combinator": "or", "not": False}
    either["rules"] = [*where("logins", ">=", 5, window=7)["rules"], *ACTED_TODAY["rules"]]
    SegmentVersion.objects.update(rule=either)
    Membership.objects.update(signals={identity("logins", 7): 1, identity("active_days", 1): 1})
    Course.objects.filter(pk=course.pk).update(clock_stopped_at=NOW + timedelta(days=2))

    logged_in = "Logged in 1 time in the last 7 days"
    active = ("Active on 1 of the last 1 day", "Active on 0 of the last 1 day")
    assert cells(change_page(staff, member)) == [
        ["Logged in at least 5 times in the last 7 days", logged_in, logged_in, "now"],
        ["Active on at least 1 of the last 1 day", *active, "at entry and now"],
    ]
    Course.objects.filter(pk=course.pk).update(clock_stopped_at=NOW)
    assert [row[3] for row in cells(change_page(staff, member))] == ["at entry and now", "no"]


def test_member_page_shows_that_a_course_is_over(staff, member):
    Course.objects.update(clock_stopped_at=NOW + timedelta(days=60))

    assert "the course is over for the learner" in cells(change_page(staff, member))[0][2]


def test_member_page_reads_the_signals_of_one_learner_in_a_fixed_number_of_queries(
    staff, member, django_assert_max_num_queries
):
    with django_assert_max_num_queries(6):
        reasons_text(member)
    with django_assert_max_num_queries(20):
        change_page(staff, member)


def test_segments_of_the_same_name_differ_in_every_choice(staff):
    course = make_course(title="Botany")
    for name in ("First", "Second"):
        make_segment(make_playbook(course, name=name), ACTED_TODAY, name="Here today")
    found = staff.get(
        reverse("admin:autocomplete"),
        {"app_label": "interventions", "model_name": "cadence", "field_name": "segment"},
    ).json()["results"]

    assert {one["text"] for one in found} == {
        "Here today (Botany, First)",
        "Here today (Botany, Second)",
    }


def test_segment_page_and_preview_show_warnings(staff):
    course = make_course(title="Botany", clock_stopped_at=NOW)
    make_enrollment(course)
    segment = make_segment(make_playbook(course), where("quiz_pass_rate", "<", 0.6))
    warning = (
        "Botany: the rule matches nobody: “Passed less than 60% of the scored quiz attempts so far”"
    )

    assert warning in change_page(staff, segment).content.decode()
    preview = reverse("admin:segmentation_segment_preview", args=(segment.pk,))
    assert warning in staff.get(preview).content.decode()
    alone = make_segment(make_playbook(), ACTED_TODAY)
    assert "There is nothing to check" in change_page(staff, alone).content.decode()


def test_segment_page_checks_three_courses_at_most(staff, django_assert_max_num_queries):
    courses = [make_course(clock_stopped_at=NOW) for _ in range(4)]
    segment = make_segment(make_playbook(*courses), where("quiz_pass_rate", "<", 0.6))
    with django_assert_max_num_queries(40):
        text = change_page(staff, segment).content.decode()

    assert text.count("no learners in scope now") == 3
    assert "Use the preview to check the playbook" in text


def activate_present(staff, segment, **more):
    values = {"action": "activate_with_present", ACTION_CHECKBOX_NAME: segment.pk, **more}
    return staff.post(reverse("admin:segmentation_segment_changelist"), values, follow=True)


def test_activating_for_those_already_in_asks_for_confirmation_with_their_number(staff):
    courses = [
        make_course(
            title="Botany", live_since=NOW, clock_stopped_at=None, ends_on=date(2199, 1, 1)
        ),
        make_course(title="Zoology"),
    ]
    for course in courses:
        for _ in range(3):
            make_enrollment(course)
    segment = make_segment(
        make_playbook(*courses), where("days_since_activity", ">=", 7), active=False
    )

    asked = activate_present(staff, segment).content.decode()
    segment.refresh_from_db()
    assert "Up to 3 learners" in asked
    assert "Botany: 3 of 3 learners in scope." in asked
    assert "Zoology: no learners, because the course is not live." in asked
    assert segment.status == "draft"

    activate_present(staff, segment, confirmed="yes")
    segment.refresh_from_db()
    assert (segment.status, segment.include_present) == ("active", True)


def test_draft_and_archived_segments_explain_why_they_have_no_members(staff):
    course = make_course()
    draft = make_segment(make_playbook(course), ACTED_TODAY, active=False)
    archived = make_segment(make_playbook(course), ACTED_TODAY)
    archive_segment(archived.pk, now=NOW)

    assert "no members yet: the segment is a draft" in change_page(staff, draft).content.decode()
    assert (
        "no members any more: the segment is archived"
        in change_page(staff, archived).content.decode()
    )


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (where("quiz_pass_rate", "<", 60), "must be a rate between 0 and 1, is 60; 0.6 is 60%"),
        (where("active_days", "=>", 1, window=7), "did you mean '>='?"),
        (
            '{"combinator": "and"\n "rules": []}',
            "line 2, column 2: a comma or a closing bracket was expected",
        ),
    ],
)
def test_impossible_rule_is_refused_at_its_field(staff, rule, sentence):
    segment = make_segment(make_playbook(), ACTED_TODAY)
    typed = rule if isinstance(rule, str) else json.dumps(rule)
    values = {"name": "a", "key": "a", "priority": 1, "rule": typed, "leave_rule": ""}
    url = reverse("admin:segmentation_segment_change", args=(segment.pk,))

    response = staff.post(url, values)

    assert response.status_code == 200
    assert sentence in response.context["adminform"].form.errors["rule"][0]
    assert escape(sentence) in response.content.decode()


def test_missing_leave_rule_is_an_empty_box(staff):
    page = change_page(staff, make_segment(make_playbook(), ACTED_TODAY))

    assert page.context["adminform"].form["leave_rule"].value() == ""
