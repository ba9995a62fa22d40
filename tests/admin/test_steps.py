"""The page of a cadence: durations in words, and steps in the order of their rows."""

import json
from datetime import time

import pytest
from django.contrib.auth import get_user_model

from interventions.models import END_POSITION, Cadence, QuietHours
from tests.admin.test_changes import BUSY, cadence_form, make_template, page
from tests.segmentation.factories import make_playbook, make_segment

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    client.force_login(get_user_model().objects.create_superuser("staff"))
    return client


def test_bare_number_of_a_delay_is_refused_with_examples(staff):
    segment = make_segment(make_playbook(), BUSY)
    form = cadence_form(make_template(), segment=segment.pk) | {"steps-0-delay": "3"}

    response = staff.post(page(Cadence, action="add"), form)

    assert "Write 3 with a unit" in response.content.decode()
    assert not Cadence.objects.exists()


def test_durations_are_shown_as_they_are_entered(staff):
    segment = make_segment(make_playbook(), BUSY)
    form = cadence_form(make_template(), segment=segment.pk, cooldown="30 days", max_age="36 h")
    staff.post(page(Cadence, action="add"), form | {"steps-0-delay": "90 min"})

    text = staff.get(page(Cadence, Cadence.objects.get())).content.decode()

    for words in ("30 days", "1 day 12 hours", "1 hour 30 minutes"):
        assert f'value="{words}"' in text


def test_new_cadence_proposes_a_maximum_age_of_messages(staff):
    form = staff.get(page(Cadence, action="add")).context["adminform"].form

    assert 'value="7 days"' in str(form["max_age"])
    assert "null" not in str(form["goal_rule"])


def step_rows(template, *delays, stored=(), **changed):
    """Return the fields of the steps' rows. The first rows show the steps in `stored`."""
    rows = {"steps-TOTAL_FORMS": len(delays), "steps-INITIAL_FORMS": len(stored)}
    for number, delay in enumerate(delays):
        rows |= {f"steps-{number}-delay": delay, f"steps-{number}-template": template.pk}
    for number, step in enumerate(stored):
        rows |= {
            f"steps-{number}-id": step.pk,
            f"steps-{number}-cadence": step.cadence_id,
            f"steps-{number}-order": step.position,
        }
    return rows | changed


def positions(cadence):
    return [(step.position, step.delay.days) for step in cadence.steps.all()]


@pytest.fixture
def three_steps(staff):
    """Return a function that saves the cadence's form, and a cadence with steps of 0, 1, 2 days."""
    template = make_template()
    form = cadence_form(template, segment=make_segment(make_playbook(), BUSY).pk)
    rows = step_rows(template, "0", "1 day", "2 days")
    response = staff.post(page(Cadence, action="add"), form | rows)
    assert response.status_code == 302, response.content.decode()
    return template, form, Cadence.objects.get()


def test_new_steps_are_numbered_in_the_order_of_their_rows(three_steps):
    assert positions(three_steps[2]) == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("delays", "changed", "expected"),
    [
        (("0", "1 day", "2 days"), {"steps-0-order": 1, "steps-1-order": 0}, [1, 0, 2]),
        (
            ("0", "1 day", "2 days"),
            {"steps-0-order": 2, "steps-1-order": 0, "steps-2-order": 1},
            [1, 2, 0],
        ),
        (("0", "1 day", "2 days", "5 days"), {}, [0, 1, 2, 5]),
        (
            ("0", "1 day", "2 days", "5 days"),
            {"steps-1-order": 2, "steps-2-order": 3, "steps-3-order": 1},
            [0, 5, 1, 2],
        ),
        (("0", "1 day", "2 days"), {"steps-1-DELETE": "on"}, [0, 2]),
    ],
    ids=["two change places", "the first goes last", "one more", "one between", "one less"],
)
@pytest.mark.sampled(2)
def test_steps_go_out_in_the_order_of_their_rows(staff, three_steps, delays, changed, expected):
    template, form, cadence = three_steps
    rows = step_rows(template, *delays, stored=list(cadence.steps.all()), **changed)

    response = staff.post(page(Cadence, cadence), form | rows)

    assert response.status_code == 302, response.content.decode()
    assert [days for _, days in positions(cadence)] == expected


def test_unchanged_step_keeps_the_position_that_runs_refer_to(staff, three_steps):
    template, form, cadence = three_steps
    stored = list(cadence.steps.all())
    rows = step_rows(template, "0", "1 day", "2 days", stored=stored, **{"steps-0-DELETE": "on"})

    staff.post(page(Cadence, cadence), form | rows)

    assert positions(cadence) == [(1, 1), (2, 2)]


def branches(cadence):
    return [(step.then_position, step.otherwise_position) for step in cadence.steps.all()]


def test_branches_are_entered_as_numbers_of_rows_and_shown_as_a_way(staff, three_steps):
    template, form, cadence = three_steps
    stored = list(cadence.steps.all())
    typed = {
        "steps-0-condition": json.dumps(BUSY),
        "steps-0-otherwise": "3",
        "steps-1-then": "End",
    }
    rows = step_rows(template, "0", "1 day", "2 days", stored=stored, **typed)

    response = staff.post(page(Cadence, cadence), form | rows)

    assert response.status_code == 302, response.content.decode()
    assert branches(cadence) == [(None, 2), (END_POSITION, None), (None, None)]
    text = staff.get(page(Cadence, cadence)).text
    assert "no → step 3" in text
    assert "→ the end" in text
    assert 'name="steps-0-otherwise" value="3"' in text
    assert 'name="steps-1-then" value="end"' in text


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"steps-1-then": "2"}, "only go on with a later step"),
        ({"steps-1-then": "1"}, "only go on with a later step"),
        ({"steps-1-then": "7"}, "There is no step 7"),
        ({"steps-1-then": "next"}, "Write the number of a later step"),
        ({"steps-1-otherwise": "3"}, "Without a condition there is no"),
    ],
)
def test_a_branch_that_cannot_be_is_refused_in_its_row(staff, three_steps, typed, sentence):
    template, form, cadence = three_steps
    rows = step_rows(template, "0", "1 day", "2 days", stored=list(cadence.steps.all()), **typed)

    response = staff.post(page(Cadence, cadence), form | rows)

    assert sentence in response.text
    assert branches(cadence) == [(None, None)] * 3


def test_a_branch_keeps_its_step_when_rows_change_places(staff, three_steps):
    template, form, cadence = three_steps
    cadence.steps.filter(position=0).update(then_position=2)
    stored = list(cadence.steps.all())
    moved = {"steps-0-then": "3", "steps-1-order": 2, "steps-2-order": 1}
    rows = step_rows(template, "0", "1 day", "2 days", stored=stored, **moved)

    response = staff.post(page(Cadence, cadence), form | rows)

    assert response.status_code == 302, response.content.decode()
    # The step of 2 days, to which the first one leads, is now the second.
    assert positions(cadence) == [(0, 0), (1, 2), (2, 1)]
    assert branches(cadence)[0] == (1, None)


@pytest.mark.parametrize(("typed", "days"), [("2", 2), ("3", 1)])
def test_a_branch_typed_after_dragging_leads_to_the_row_with_its_number(
    staff, three_steps, typed, days
):
    template, form, cadence = three_steps
    # The last row was dragged to the second place.
    moved = {"steps-0-then": typed, "steps-1-order": 2, "steps-2-order": 1}
    stored = list(cadence.steps.all())
    rows = step_rows(template, "0", "1 day", "2 days", stored=stored, **moved)

    response = staff.post(page(Cadence, cadence), form | rows)

    assert response.status_code == 302, response.content.decode()
    first = cadence.steps.get(position=0)
    assert cadence.steps.get(position=first.then_position).delay.days == days


def test_weekdays_are_ticked_and_hours_that_never_send_are_refused(staff, three_steps):
    template, form, cadence = three_steps
    QuietHours.objects.create(begins=time(21), ends=time(8))
    rows = step_rows(template, "0", "1 day", "2 days", stored=list(cadence.steps.all()))

    staff.post(page(Cadence, cadence), form | rows | {"weekdays": ["1", "3"]})
    cadence.refresh_from_db()
    assert cadence.weekdays == [1, 3]
    night = {"window_from": "22:00", "window_until": "23:00", "weekdays": ["1"]}
    refused = staff.post(page(Cadence, cadence), form | rows | night)
    short = staff.post(
        page(Cadence, cadence), form | rows | {"weekdays": ["1"], "max_age": "2 days"}
    )

    assert "lie within the quiet hours" in refused.text
    assert "so messages would expire" in short.text
    cadence.refresh_from_db()
    assert cadence.weekdays == [1, 3]
