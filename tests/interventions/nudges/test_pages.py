"""The pages of a nudge: what they show, keep, refuse and start."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.urls import reverse

from activity.models import Course, Learner
from activity.switch import choose_course
from experiments.models import Experiment
from interventions.models import (
    Cadence,
    FrequencyCap,
    MessageTemplate,
    Nudge,
)
from interventions.operations import suppress
from interventions.views import nudge_answers, nudges
from segmentation.operations import archive_segment
from tests.factories import NOW, act, make_enrollment, make_learner
from tests.interventions.factories import make_cadence, make_experiment, make_live_course
from tests.interventions.nudges.pages import (
    HTMX,
    RIGHTS,
    address,
    log_in,
    make_class,
    post,
    stop_clock,
    text_of,
    typed,
)
from tests.journeys.test_main_path import run_stages
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    stop_clock(monkeypatch, settings)


@pytest.fixture
def segment():
    return make_class()


@pytest.fixture
def staff(client):
    log_in(client, *RIGHTS)
    return client


def test_new_page_shows_the_segment_with_its_course(staff, segment):
    page = text_of(staff.get(reverse("interventions:new_nudge")))

    assert "Video-only (Biology 2025)" in page
    assert "errorlist" not in page
    assert not Nudge.objects.exists()


def test_what_is_typed_is_saved_and_counts_are_answered(staff, segment):
    key = uuid4()
    answer = staff.post(address(key=key), typed(segment, do=None), headers=HTMX)

    page = text_of(answer)
    assert "<strong>3 learners are</strong> in it now" in page
    assert "Learner" in page
    assert answer["HX-Replace-Url"] == address(key=key)
    assert 'id="version" value="1"' in page
    again = text_of(staff.get(address(key=key)))
    assert "Try the quiz" in again
    assert "try **the quiz**." in again


def test_summary_says_how_many_would_get_it_and_when(staff, segment):
    page = text_of(post(staff, segment))

    assert "3 learners would get it, the first on Tuesday 30 September 2025, 13:00" in page
    assert "Nobody gets it at once." in page
    assert not Cadence.objects.exists()


def test_summary_groups_those_who_would_not_get_it(staff, segment):
    for learner in (make_learner(email=None), make_learner(email="gone@example.org")):
        act(make_enrollment(segment.playbook.courses.get(), learner))
    suppress("gone@example.org", reason="bounced", now=NOW)
    run_stages(NOW)

    page = text_of(post(staff, segment))

    assert "3 learners would get it" in page
    assert "1 learner has no address." in page
    assert "1 learner has an address that refuses our mail." in page


def test_instant_is_also_by_the_clock_of_a_learner_elsewhere(staff, segment):
    Learner.objects.update(time_zone="America/New_York")

    page = text_of(post(staff, segment))

    assert "30 September 2025, 13:00 (Europe/London), 08:00 by that learner&#x27;s clock" in page


def test_summary_names_what_these_learners_get_beside_it(staff, segment):
    make_cadence(segment=segment, name="Catch up")

    page = text_of(post(staff, segment))

    assert "Learners who enter also get “Catch up”." in page


def test_summary_names_an_experiment_that_runs_beside_it(staff, segment):
    make_experiment(segment, name="Old")

    page = text_of(post(staff, segment, hold_back="on"))

    assert "The experiment “Old” runs among these learners too." in page


def test_half_cannot_be_held_back_beside_a_cadence_for_everybody(staff, segment):
    cadence = make_cadence(segment=segment, name="Catch up")

    page = text_of(post(staff, segment, hold_back="on"))

    assert "The messages of “Catch up” go to every learner who enters this segment" in page
    assert f"/admin/interventions/cadence/{cadence.pk}/change/" in page


def test_top_of_an_unfinished_nudge_leads_to_each_place_that_is_wrong(staff, segment):
    page = text_of(post(staff, segment, hold_back="on", **{"message-0-subject": ""}))

    assert '<a href="#id_message-0-subject">Write a subject.</a>' in page


def test_half_cannot_be_held_back_in_a_course_whose_clock_has_stopped(staff, segment):
    make_cadence(segment=segment, name="Catch up")
    Course.objects.update(clock_stopped_at=NOW)

    page = text_of(post(staff, segment, hold_back="on"))

    assert "no learner enters, so there are no halves to compare" in page
    assert "The messages of “Catch up”" not in page


def test_nudge_for_everybody_beside_an_experiment_is_refused_at_the_segment(staff, segment):
    make_experiment(segment, name="Old")

    page = text_of(post(staff, segment))

    assert "The experiment “Old” runs among these learners. A message to all" in page


def test_start_makes_it_once_and_the_page_then_names_its_parts(staff, segment):
    key = uuid4()
    post(staff, segment, key=key, hold_back="on")

    for _ in range(2):
        page = text_of(staff.post(address("start_nudge", key), {"version": "1"}, follow=True))

    assert "Nudge for Video-only (Biology 2025)" in page
    assert "the report" in page
    assert (Cadence.objects.count(), Experiment.objects.count()) == (1, 1)
    (text,) = MessageTemplate.objects.get().texts.all()
    assert "<strong>the quiz</strong>" in text.body
    assert "{{ learner.first_name | default: 'there' }}" in text.body
    assert address("nudge_summary", key) in staff.get(address(key=key))["Location"]


def test_those_already_in_get_it_if_asked(staff, segment):
    key = uuid4()
    post(staff, segment, key=key, include_present="on")
    staff.post(address("start_nudge", key), {"version": "1"})

    run_stages(NOW + timedelta(hours=1))

    assert Cadence.objects.get().runs.count() == 3


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"segment": ""}, "Choose the segment whose learners get the messages."),
        ({"segment": "99999999999999999999"}, "This segment is not active"),
        ({"segment": "x"}, "This segment is not active"),
        ({"message-0-subject": ""}, "Write a subject."),
        ({"message-0-body": ""}, "Write the text of the message."),
        ({"message-0-body": "Hello {{ lerner.name }}"}, "Unknown variable"),
        ({"message-0-body": "Hello {{ learner.first_name }}"}, "A learner may have no name"),
        ({"message-0-body": "[x](quiz)"}, "does not work in a mail"),
        ({"message-0-body": "<form>", "message-0-format": "html"}, "is not allowed in a message"),
        ({"message-0-delay": "2"}, "Write 2 with a unit"),
        ({"message-0-delay": "soon"}, "This is not a duration"),
        ({"window_from": "9"}, "Write 9 as a time of day"),
        ({"window_from": "9am"}, "Write both times"),
        ({"window_from": "9am", "window_until": "9:00"}, "Both times are the same"),
        ({"why_now": "x" * 201}, "at most 200 characters"),
        ({"name": "x" * 201}, "at most 200 characters"),
    ],
)
@pytest.mark.sampled(2)
def test_bad_input_gets_a_sentence_and_nothing_typed_is_lost(staff, segment, changed, sentence):
    key = uuid4()
    page = text_of(post(staff, segment, key=key, hypothesis="Keep me", **changed))

    assert sentence in page
    assert "Keep me" in page
    assert Nudge.objects.get(key=key).answers["hypothesis"] == "Keep me"
    for value in changed.values():
        assert value[:100].replace("<", "&lt;").replace(">", "&gt;") in page or value.isdigit()


def test_hostile_input_is_kept_as_far_as_it_can_be_stored(staff, segment):
    hostile = {
        "tab": "\0" * 50,
        "version": "9" * 30,
        "message-TOTAL_FORMS": "-1",
        "message-7-subject": "Too many",
        "message-0-body": "Hello\0 " + "x" * 60_000,
        "preview_as": "no id",
        "name": "Name\0",
        "other": "unknown",
    }
    key = uuid4()

    page = text_of(post(staff, segment, key=key, **hostile))

    assert "at most 50,000 letters" in page
    answers = Nudge.objects.get(key=key).answers
    assert len(answers["message-0-body"]) == 60_007
    assert "other" not in answers


def test_hours_like_9pm_are_read(staff, segment):
    page = text_of(post(staff, segment, window_from="9.30 am", window_until="9pm"))

    assert "Only between 09:30 and 21:00" in page


def test_caps_place_the_second_message(staff, segment):
    FrequencyCap.objects.create(name="One a day", limit=1, window="calendar_day")
    second = {
        "message-TOTAL_FORMS": "2",
        "message-1-subject": "Again",
        "message-1-body": "Again",
        "message-1-format": "markdown",
        "message-1-delay": "1 hour later",
    }

    page = text_of(post(staff, segment, **second))

    assert "gets it on Tuesday 30 September 2025, 13:00 (Europe/London)." in page
    later = "gets it on Wednesday 1 October 2025, 00:00 (Europe/London), because of a frequency cap"
    assert later in page
    assert "At most 1 message in a day, later if more." in page


def test_messages_are_added_and_removed(staff, segment):
    key = uuid4()
    page = text_of(post(staff, segment, key=key, do="add"))
    assert "Message 2" in page
    assert "2 days later" in page

    kept = {
        "message-TOTAL_FORMS": "2",
        "message-1-subject": "Second",
        "message-1-delay": "2 days later",
    }
    post(staff, segment, key=key, version="1", do="remove-0", **kept)

    answers = Nudge.objects.get().answers
    assert (answers["message-TOTAL_FORMS"], answers["message-0-subject"]) == ("1", "Second")
    assert "message-1-subject" not in answers


def test_segment_archived_meanwhile_is_said_and_the_text_is_kept(staff, segment):
    key = uuid4()
    post(staff, segment, key=key)
    archive_segment(segment.pk, now=NOW)

    for page in (
        staff.get(address("nudge_summary", key), follow=True),
        staff.get(address(key=key)),
    ):
        assert "The segment “Video-only” was chosen, but it is no longer active" in text_of(page)
        assert "try **the quiz**." in page.content.decode()

    staff.post(address("start_nudge", key), {"version": "1"})
    assert not Cadence.objects.exists()


def test_tab_with_an_older_version_goes_on_in_a_nudge_of_its_own(staff, segment):
    key = uuid4()
    post(staff, segment, key=key, do="save")
    post(staff, segment, key=key, do="save", tab="two", version="1", name="Second")

    answer = staff.post(
        address(key=key), typed(segment, tab="one", version="1", name="First"), headers=HTMX
    )

    own = Nudge.objects.get(name="First")
    assert own.key != key
    assert answer["HX-Redirect"] == address(key=own.key)
    assert "changed in another window" in text_of(staff.get(address(key=own.key)))
    assert Nudge.objects.get(key=key).name == "Second"


def test_draft_is_found_again_and_can_be_deleted(staff, segment):
    key = uuid4()
    post(staff, segment, key=key, do="save", name="Half-way")

    page = text_of(staff.get(reverse("interventions:new_nudge")))
    assert f'<a href="{address(key=key)}">Half-way</a>' in page

    assert "You have not started “Half-way” yet." in text_of(staff.get("/"))

    staff.post(address("delete_nudge", key))
    assert not Nudge.objects.exists()


@pytest.mark.parametrize("in_between", [False, True], ids=["before", "in between"])
def test_deleted_nudge_is_not_started(staff, segment, monkeypatch, in_between):
    key = uuid4()
    post(staff, segment, key=key, name="Half-way")

    def page_of(*given):
        Nudge.objects.all().delete()
        return nudge_answers.page_of(*given)

    if in_between:
        monkeypatch.setattr(nudges, "page_of", page_of)
    else:
        staff.post(address("delete_nudge", key))
    page = text_of(staff.post(address("start_nudge", key), {"version": "1"}, follow=True))

    assert "was deleted meanwhile, so nothing was started" in page
    assert not Cadence.objects.exists()


def test_started_nudge_is_not_said_to_be_deleted(staff, segment):
    key = uuid4()
    post(staff, segment, key=key, do="save", name="Half-way")
    # Another tab has started it.
    Nudge.objects.update(made_at=NOW)

    page = text_of(staff.post(address("delete_nudge", key), follow=True))

    assert "has been started meanwhile, so it is not deleted" in page
    assert Nudge.objects.get().key == key


def test_course_switch_limits_the_segments_but_keeps_the_chosen_one(staff, segment):
    other = make_live_course(title="Chemistry")
    make_segment(make_playbook(other), ACTED_TODAY, name="Theirs")
    key = uuid4()
    post(staff, segment, key=key, do="save")
    session = staff.session
    choose_course(session, other)
    session.save()

    new = text_of(staff.get(reverse("interventions:new_nudge")))
    assert "Theirs (Chemistry)" in new
    assert "Video-only (Biology 2025)</option>" not in new
    assert "Video-only (Biology 2025)</option>" in text_of(staff.get(address(key=key)))


def test_page_without_segments_says_what_to_do(staff):
    page = text_of(staff.get(reverse("interventions:new_nudge")))

    assert "Activate a segment" in page


def test_pages_of_a_nudge_take_a_fixed_number_of_queries(
    staff, segment, django_assert_max_num_queries
):
    key = uuid4()
    post(staff, segment, key=key, include_present="on")
    for each in (make_enrollment(segment.playbook.courses.get()) for _ in range(20)):
        act(each)
    run_stages(NOW)

    for name, most in (("nudge", 23), ("nudge_summary", 34)):
        with django_assert_max_num_queries(most):
            assert staff.get(address(name, key)).status_code == 200
    with django_assert_max_num_queries(35):
        staff.post(address(key=key), typed(segment, do=None, version="1"), headers=HTMX)
    with django_assert_max_num_queries(17):
        staff.get(reverse("interventions:nudge_preview", args=(key, 0)))


def test_key_of_nobody_is_not_found(staff):
    assert staff.get(address(key=UUID(int=1))).status_code == 404
