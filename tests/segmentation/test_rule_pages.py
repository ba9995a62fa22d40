"""The page of a rule: edit, count, save, activate and archive, and what is refused."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from segmentation.models import Membership, Segment, SegmentVersion
from segmentation.operations import archive_segment
from segmentation.stages.evaluate import evaluate_due
from segmentation.views import bundle
from tests.factories import NOW, act, make_course, make_enrollment, make_learner
from tests.segmentation.factories import ACTED_TODAY, QUIET, make_playbook, make_segment, where
from tests.segmentation.test_live_count import count, reader

pytestmark = pytest.mark.django_db
TWICE = where("logins", ">=", 2, window=1)


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


@pytest.fixture
def course():
    """Return a course with a stopped clock, in which one of two learners was active today."""
    course = make_course(clock_stopped_at=NOW, title="Botany", time_zone="Europe/Brussels")
    act(make_enrollment(course, make_learner(name="Kit Berg")))
    make_enrollment(course)
    return course


@pytest.fixture
def segment(course):
    return make_segment(make_playbook(course), ACTED_TODAY, name="Here today")


@pytest.fixture
def draft(course):
    return make_segment(make_playbook(course), ACTED_TODAY, name="Here today", active=False)


def address(segment):
    return reverse("segmentation:rule", args=(segment.pk,))


def form_of(page):
    """Return what a browser would send back without a change."""
    shown = page.context["form"]
    names = ("name", "description", "rule", "leave_rule")
    return {name: shown[name].value() or "" for name in names} | {"seen": page.context["seen"]}


def edited(staff, segment, **changes):
    """Return the form of the segment's page with changes. Rules are data."""
    typed = form_of(staff.get(address(segment))) | changes
    return {name: given if isinstance(given, str) else json.dumps(given)
            for name, given in typed.items()}  # fmt: skip


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def test_new_segment_is_saved_as_a_draft_with_a_key_from_its_name(staff, course):
    playbook = make_playbook(course)
    typed = {"name": "Watch, no quiz!", "rule": json.dumps(ACTED_TODAY), "playbook": playbook.pk}

    response = staff.post(reverse("segmentation:new-rule"), typed | {"action": "save"})

    saved = Segment.objects.get()
    assert response.url == address(saved)
    assert (saved.key, saved.status, saved.rule) == ("watch-no-quiz", "draft", ACTED_TODAY)
    assert SegmentVersion.objects.get().created_by.username == "staff"


def test_second_save_of_the_same_new_page_makes_no_second_segment(staff, course):
    typed = {"name": "Quiet", "rule": json.dumps(QUIET), "playbook": make_playbook(course).pk}
    new = reverse("segmentation:new-rule")
    first, second = (staff.post(new, typed | {"action": "activate"}) for _ in range(2))

    saved = Segment.objects.get()
    assert first.url == second.url == address(saved)
    assert SegmentVersion.objects.count() == 1


def test_name_of_another_segment_is_refused_and_the_rule_stays(staff, course):
    playbook = make_playbook(course)
    make_segment(playbook, ACTED_TODAY, name="quiet")
    typed = {"name": "Quiet", "rule": json.dumps(QUIET), "playbook": playbook.pk}

    page = staff.post(reverse("segmentation:new-rule"), typed | {"action": "save"})

    assert Segment.objects.count() == 1
    assert "already has a segment “Quiet”" in text_of(page)
    assert page.context["form"]["rule"].value() == typed["rule"]


def test_second_click_on_save_is_not_somebody_else(staff, draft):
    typed = edited(staff, draft, name="Kept", rule=TWICE) | {"action": "activate"}
    for _ in range(2):
        page = staff.post(address(draft), typed, follow=True)
        assert "Saved and activated." in text_of(page)

    draft.refresh_from_db()
    assert (draft.name, draft.status, draft.version) == ("Kept", "active", 2)
    # A save that would change anything is still refused.
    page = staff.post(address(draft), typed | {"name": "Mine", "action": "save"})
    assert "Nothing was saved" in text_of(page)


def test_playbook_that_is_gone_is_not_replaced_by_another(staff, course):
    gone, _ = make_playbook(course), make_playbook(course)
    typed = {"name": "Quiet", "rule": json.dumps(QUIET), "playbook": gone.pk, "action": "save"}
    gone.course_links.all().delete()
    gone.delete()

    page = staff.post(reverse("segmentation:new-rule"), typed)

    assert "The playbook is not there any more" in text_of(page)
    assert page.context["form"]["rule"].value() == typed["rule"]
    assert not Segment.objects.exists()


def test_new_segment_is_activated_at_once(staff, course):
    typed = {"name": "Here", "rule": json.dumps(ACTED_TODAY), "playbook": make_playbook(course).pk}

    staff.post(reverse("segmentation:new-rule"), typed | {"action": "activate"})
    evaluate_due(now=NOW)

    assert Membership.objects.count() == 1


def test_without_a_playbook_the_page_says_what_to_do_first(staff):
    assert "There is no playbook yet" in text_of(staff.get(reverse("segmentation:new-rule")))


def test_edit_of_a_live_rule_shows_who_enters_and_leaves_before_it_is_saved(staff, segment):
    evaluate_due(now=NOW)
    typed = edited(staff, segment, rule=TWICE)

    page = staff.post(address(segment), typed | {"action": "save"})

    assert "Botany: 0 of 2 learners; 0 enter, 1 leave." in text_of(page)
    assert "<li>Leave: Kit Berg.</li>" in text_of(page)
    assert Segment.objects.get().rule == ACTED_TODAY
    confirmed = typed | {"confirmed": page.context["asked"].value}
    assert staff.post(address(segment), confirmed).url == address(segment)
    assert Segment.objects.get().rule == TWICE


def test_confirmation_holds_only_for_what_was_shown(staff, segment):
    typed = edited(staff, segment, rule=TWICE) | {"action": "save"}
    value = staff.post(address(segment), typed).context["asked"].value

    page = staff.post(address(segment), edited(staff, segment, rule=QUIET) | {"confirmed": value})

    assert page.context["asked"].value != value
    assert Segment.objects.get().rule == ACTED_TODAY


def test_new_name_of_a_live_segment_needs_no_confirmation(staff, segment):
    staff.post(address(segment), edited(staff, segment, name="Here") | {"action": "save"})

    assert Segment.objects.get().name == "Here"


def test_second_of_two_tabs_is_told_and_keeps_what_was_typed(staff, draft):
    first, second = (edited(staff, draft, rule=rule) for rule in (TWICE, QUIET))
    staff.post(address(draft), first | {"action": "save"})

    page = staff.post(address(draft), second | {"action": "save"})

    assert "Version 2 was saved by staff on" in text_of(page)
    assert "Logged in at least 2 times today" in text_of(page)
    assert page.context["form"]["rule"].value() == second["rule"]
    assert Segment.objects.get().rule == TWICE
    staff.post(address(draft), second | {"seen": page.context["seen"], "action": "save"})
    assert Segment.objects.get().rule == QUIET


def test_segment_that_was_archived_meanwhile_is_not_changed(staff, segment):
    typed = edited(staff, segment, name="Other")
    archive_segment(segment.pk, now=NOW)

    page = staff.post(address(segment), typed | {"action": "save"})

    assert "Its status now is archived" in text_of(page)
    assert page.context["form"]["name"].value() == "Other"
    assert Segment.objects.get().name == "Here today"


def test_archiving_asks_and_says_how_many_leave(staff, segment):
    evaluate_due(now=NOW)
    typed = edited(staff, segment) | {"action": "archive"}

    page = staff.post(address(segment), typed)
    assert "Its members leave: 1." in text_of(page)
    assert Segment.objects.get().status == "active"
    staff.post(address(segment), typed | {"confirmed": page.context["asked"].value})

    assert Segment.objects.get().status == "archived"


def test_those_already_in_are_counted_before_they_are_messaged(staff, draft):
    # The course is live from now on, and its clock runs: its learners are those of today.
    draft.playbook.courses.update(
        clock_stopped_at=None, live_since=NOW, starts_on="2000-01-01", ends_on="2100-01-01"
    )
    typed = edited(staff, draft, rule=QUIET) | {"action": "activate_present"}

    page = staff.post(address(draft), typed)
    assert "Up to 2 learners would start cadences" in text_of(page)
    assert Segment.objects.get().status == "draft"
    staff.post(address(draft), typed | {"confirmed": page.context["asked"].value})

    saved = Segment.objects.get()
    assert (saved.status, saved.include_present, saved.rule) == ("active", True, QUIET)


BAD = {
    "window 0": (where("logins", ">=", 1, window=0), "must be from 1 to 366 days, is 0"),
    "window 4000": (where("logins", ">=", 1, window=4000), "must be from 1 to 366 days"),
    "text for a number": (where("logins", ">=", "many", window=7), "The value must be a number."),
    "2 MB": (f'["{"x" * 2_000_000}"]', "has 2,000,004 characters, at most 200,000"),
    "500 levels": ('{"combinator":"and","rules":[' * 500, "Nested deeper than 50 levels"),
    "no JSON": ("{", "The rule is not JSON: line 1, column 2"),
    "its own segment": (where("in_segment", "=", "x"), "'in_segment' is not a signal"),
    "nothing": ({"combinator": "and", "rules": []}, "The group is empty"),
}


@pytest.mark.parametrize(("rule", "words"), BAD.values(), ids=BAD)
def test_bad_rule_is_refused_with_a_sentence_and_nothing_is_lost(staff, draft, rule, words):
    typed = edited(staff, draft, name="Kept", leave_rule=rule) | {"action": "save"}

    page = staff.post(address(draft), typed)

    assert words in text_of(page).replace("&#x27;", "'")
    assert page.context["form"]["leave_rule"].value() == typed["leave_rule"]
    assert page.context["form"]["name"].value() == "Kept"
    assert Segment.objects.get().name == "Here today"
    [fault, *_] = count(staff, rule=ACTED_TODAY, leave_rule=rule)["faults"]["leave_rule"]
    assert words in fault["sentence"]


def test_count_works_without_a_script(staff, draft):
    page = staff.post(address(draft), edited(staff, draft, rule=TWICE) | {"action": "count"})

    assert "0 of 2 learners." in text_of(page)
    assert "Logged in at least 2 times today" in text_of(page)


def test_missing_bundle_is_said_and_the_text_stays(staff, draft, settings, tmp_path):
    settings.STATICFILES_DIRS = [tmp_path]

    page = text_of(staff.get(address(draft)))

    assert bundle.MISSING in page
    assert "<details open>" in page
    assert "&quot;active_days&quot;" in page
    assert "Active on at least 1 of the last 1 day." in page


def test_new_segment_begins_in_a_playbook_of_the_chosen_course(staff, course):
    make_playbook(make_course(), name="A first one")
    playbook = make_playbook(course, name="Botany's")
    staff.post(reverse("switch-course"), {"course": course.pk})

    page = staff.get(reverse("segmentation:new-rule"))

    assert page.context["segment"].playbook == playbook
    assert page.context["course"] == str(course.pk)


def test_names_of_traits_are_suggested(staff, course, draft):
    learner = make_learner(traits={"region": "Wales"})
    make_enrollment(course, learner, traits={"age_band": "35-55"})
    make_enrollment(make_course(), make_learner(traits={"elsewhere": 1}))

    assert dict(staff.get(address(draft)).context["names"])["traits"] == ["age_band", "region"]


def test_those_who_may_only_view_see_no_button_and_change_nothing(client, draft):
    viewer = reader(client, "view_segment")
    page = viewer.get(address(draft))
    typed = form_of(page) | {"name": "Other", "action": "save"}

    assert 'value="save"' not in text_of(page)
    assert viewer.post(address(draft), typed).status_code == 403
    assert Segment.objects.get().name == "Here today"


def test_those_who_may_add_segments_save_a_draft(client, course):
    author = reader(client, "view_segment", "add_segment")
    new = reverse("segmentation:new-rule")
    typed = {"name": "Mine", "rule": json.dumps(ACTED_TODAY), "playbook": make_playbook(course).pk}

    page = text_of(author.get(new))
    assert 'value="save"' in page
    assert 'value="activate"' not in page
    assert author.post(new, typed | {"action": "activate"}).status_code == 403
    assert author.post(new, typed | {"action": "save"}).status_code == 302
    assert Segment.objects.get().status == "draft"


def test_messaging_those_already_in_needs_the_right_to_send(client, draft):
    editor = reader(client, "view_segment", "change_segment")
    typed = form_of(editor.get(address(draft))) | {"action": "activate_present"}

    assert editor.post(address(draft), typed).status_code == 403
    assert Segment.objects.get().status == "draft"


@pytest.mark.parametrize("name", ["new-rule", "count"])
def test_pages_need_a_right_of_their_own(client, draft, name):
    other = reader(client, "view_learner")

    assert other.post(reverse(f"segmentation:{name}")).status_code == 403
    assert other.get(address(draft)).status_code == 403


def test_pages_stay_within_their_query_budgets(staff, segment, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        staff.get(address(segment))
    with django_assert_max_num_queries(15):
        count(staff, rule=ACTED_TODAY, segment=segment.pk)


def test_admin_page_of_a_segment_leads_to_its_rule_and_back(staff, segment):
    admin_page = reverse("admin:segmentation_segment_change", args=(segment.pk,))
    link = reverse("admin:segmentation_segment_edit_rule", args=(segment.pk,))

    assert link in staff.get(admin_page).content.decode()
    assert staff.get(link).url == address(segment)
    assert admin_page in staff.get(address(segment)).content.decode()
    # A stranger's address of a segment leads to a page that finds nothing.
    assert (
        staff.get(reverse("admin:segmentation_segment_edit_rule", args=("x",))).status_code == 404
    )


def test_list_of_segments_leads_to_a_new_rule(staff, segment):
    link = reverse("admin:segmentation_segment_new_rule")

    assert link in staff.get(reverse("admin:segmentation_segment_changelist")).content.decode()
    assert staff.get(link).url == reverse("segmentation:new-rule")
