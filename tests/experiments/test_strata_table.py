"""The balance at the draw on the page of a report."""

from datetime import timedelta

import pytest

from experiments.design import COURSE, Covariate
from experiments.operations import draw_arms
from experiments.queries import details, report
from experiments.randomize.balance import draw_balance
from experiments.reporting.strata import strata_table, stratum_name
from experiments.starting import lock_protocol_and_run
from tests.experiments.factories import make_experiment, make_segment
from tests.experiments.test_report import two_arms
from tests.factories import NOW, make_course, make_enrollment

ATTEMPTS = Covariate("attempts", 3, (1.0, 2.0))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ('["bio",2]', "course: bio, attempts: part 2 of 3"),
        ('["bio",null]', "course: bio, attempts: not known"),
        ("0badc0de", "0badc0de"),
    ],
)
def test_a_stratum_has_a_name_in_words(key: str, name: str) -> None:
    assert stratum_name(key, (Covariate(COURSE), ATTEMPTS)) == name


def test_a_small_stratum_is_hidden_with_the_next_smallest() -> None:
    counts = {'["a"]': (30, 31), '["b"]': (9, 10), '["c"]': (2, 0)}
    balance = draw_balance(
        {key: {"control": n, "nudge": m} for key, (n, m) in counts.items()},
        arms=["control", "nudge"],
    )

    table = strata_table(two_arms(), balance, (Covariate(COURSE),))

    assert table is not None
    assert [(row.name, row.drawn) for row in table.rows] == [("course: a", ["30", "31"])]
    assert table.text.endswith("2 strata are not shown, as few learners are in an arm there.")


@pytest.mark.django_db
def test_the_page_shows_how_evenly_courses_were_drawn(admin_client) -> None:
    courses = [make_course(key=key, live_since=NOW - timedelta(days=9)) for key in ("bio", "art")]
    draft = make_experiment(
        segment=make_segment(*courses), method="blocks", strata="course", key="nudge"
    )
    experiment = lock_protocol_and_run(draft.pk, now=NOW)
    drawn = [make_enrollment(course).pk for course in courses for _ in range(12)]
    draw_arms(experiment.pk, drawn, now=NOW)
    as_of = NOW + timedelta(days=8)

    found = report(experiment, as_of=as_of)
    table = details(experiment, found, as_of=as_of).strata

    assert table is not None
    assert [row.name for row in table.rows] == ["course: art", "course: bio"]
    assert [sum(map(int, row.drawn)) for row in table.rows] == [12, 12]
    text = admin_client.get("/reports/nudge/").content.decode()
    assert "Balance at the draw" in text
    assert '<th scope="row">course: bio</th>' in text
