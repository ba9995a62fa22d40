"""The OULAD importer when it runs again, when files are faulty, and when it is killed."""

import gzip
import json
import sys
import time
from datetime import date

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from activity.importing.oulad import (
    ImportOptions,
    OuladError,
    count_enrollments,
    import_runs,
    runs,
)
from activity.importing.oulad.runs import later_runs
from activity.models import Course, Due, DueCause, Enrollment, Event, Item, Learner
from tests.activity.oulad_folder import ANA, BBB, NOW, SMALL, run_import, write_folder, write_table
from tests.factories import make_enrollment
from tests.processes import (
    SECONDS_TO_FINISH,
    database_url,
    running,
    start_command,
    wait_until,
)

pytestmark = pytest.mark.django_db

TABLES = sorted(SMALL)


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


def due_rows():
    return list(Due.objects.order_by("pk").values_list("due_at", "cause"))


def mark_evaluated():
    Due.objects.update(due_at=None, cause=DueCause.TIME)


def nothing_landed():
    return not (Course.objects.exists() or Learner.objects.exists() or Event.objects.exists())


def truncate(path):
    path.write_bytes(path.read_bytes()[:-20])


def test_clicks_come_from_the_parquet_file_if_the_run_has_no_file(folder):
    (imported,) = run_import(folder, "BBB_2014B")
    assert imported.events == 3
    assert Event.objects.get(source_id="vle:BBB_2014B:1:201:0").count == 3
    assert Course.objects.get().starts_on == date(2014, 2, 1)


def test_new_enrollments_are_due_now(folder):
    run_import(folder)
    assert [due_at for due_at, _ in due_rows()] == [NOW] * 5


def test_a_second_import_changes_nothing_and_says_so(folder, capsys):
    run_import(folder)
    mark_evaluated()
    events = Event.objects.count()
    call_command("import_oulad", folder, "--runs", "AAA_2013J")
    printed = capsys.readouterr()
    assert printed.out == "AAA_2013J: nothing new, everything was imported already.\n"
    assert Event.objects.count() == events
    assert due_rows() == [(None, DueCause.TIME)] * 5


def test_later_import_adds_the_days_that_were_left_out(folder):
    (some,) = run_import(folder, until_day=20)
    assert max(event.occurred_at.date() for event in Event.objects.all()) <= date(2013, 10, 25)
    mark_evaluated()
    (rest,) = run_import(folder)
    assert (some.events, rest.events, rest.enrollments) == (4, 7, 0)
    # With the cause edit: a history that arrives late must not start messages.
    assert {cause for _, cause in due_rows()} == {DueCause.EDIT}


def test_all_runs_can_be_moved_to_one_first_day(folder):
    run_import(folder, "AAA_2013J", "BBB_2014B", day0=date(2013, 10, 5))
    assert set(Course.objects.values_list("starts_on", flat=True)) == {date(2013, 10, 5)}
    first_days = Event.objects.filter(source_id__endswith=":0")
    assert first_days.values("occurred_at").distinct().count() == 1


def test_stored_run_with_another_first_day_is_refused(folder):
    run_import(folder)
    with pytest.raises(OuladError, match="AAA_2013J exists already, but with 2013-10-05 as its"):
        run_import(folder, day0=date(2020, 1, 1))


@pytest.mark.parametrize("order", [("AAA_2013J", "BBB_2014B"), ("BBB_2014B", "AAA_2013J")])
def test_traits_of_the_latest_run_are_kept_in_any_order(folder, order):
    run_import(folder, *order)
    learner = Learner.objects.get(external_id=f"oulad-{ANA}")
    assert learner.traits["imd_band"] == "20-30%"
    assert learner.enrollments.count() == 2


@pytest.mark.parametrize("order", [("AAA_2013J", "BBB_2014B"), ("BBB_2014B", "AAA_2013J")])
def test_values_that_change_between_runs_are_traits_of_the_enrollment(folder, order):
    run_import(folder, *order)
    learner = Learner.objects.get(external_id=f"oulad-{ANA}")
    assert set(learner.traits) == {
        "gender",
        "region",
        "highest_education",
        "imd_band",
        "disability",
    }
    traits = dict(learner.enrollments.values_list("course__key", "traits"))
    assert traits["AAA_2013J"] == {
        "age_band": "0-35",
        "num_of_prev_attempts": 0,
        "studied_credits": 60,
    }
    assert traits["BBB_2014B"]["num_of_prev_attempts"] == 2


def test_new_traits_pull_the_learner_in_the_other_course(folder):
    run_import(folder)
    mark_evaluated()
    run_import(folder, "BBB_2014B")
    pulled = Due.objects.filter(enrollment__course__key="AAA_2013J", due_at=NOW)
    assert [due.enrollment.learner.external_id for due in pulled] == [f"oulad-{ANA}"]


def test_traits_added_by_an_admin_are_kept(folder):
    run_import(folder)
    Learner.objects.filter(external_id=f"oulad-{ANA}").update(traits={"club": "chess"})
    run_import(folder)
    assert Learner.objects.get(external_id=f"oulad-{ANA}").traits == {"club": "chess"}
    run_import(folder, "BBB_2014B")
    traits = Learner.objects.get(external_id=f"oulad-{ANA}").traits
    assert (traits["club"], traits["region"]) == ("chess", "Wales")


def test_later_runs_are_ordered_by_presentation_then_module():
    known = ["AAA_2014J", "BBB_2013B", "BBB_2014B", "AAA_2014B"]
    assert later_runs("AAA_2014B", known) == ["BBB_2014B", "AAA_2014J"]


def test_only_json_is_printed(folder, capfd):
    call_command("import_oulad", folder, "--all", "--json")
    printed = capfd.readouterr()
    assert printed.err == ""
    assert [run["run"] for run in json.loads(printed.out)["runs"]] == ["AAA_2013J", "BBB_2014B"]


def test_progress_moves_within_a_run_and_ends_at_the_counted_total(folder, monkeypatch):
    monkeypatch.setattr(runs, "BATCH_SIZE", 2)
    heard = []
    (imported,) = import_runs(
        folder,
        runs=["AAA_2013J"],
        options=ImportOptions(NOW),
        on_progress=lambda run, count: heard.append((run, count, Event.objects.count())),
    )
    counts = [count for _, count, _ in heard]
    assert counts == [0, 2, 2, 1]
    assert sum(counts) == count_enrollments(folder, ["AAA_2013J"])
    assert {run for run, _, _ in heard} == {"AAA_2013J"}
    # The events of the counted enrollments are stored.
    assert [events for _, _, events in heard] == [0, 8, 9, 11]
    assert imported.events == 11


def test_progress_bar_is_shown_only_on_standard_error(folder, capfd):
    call_command("import_oulad", folder, "--runs", "AAA_2013J, BBB_2014B")
    printed = capfd.readouterr()
    assert "6/6" in printed.err
    assert "enrollments/s" in printed.err
    assert "BBB_2014B" in printed.err
    assert printed.out.splitlines() == [
        "AAA_2013J: 5 enrollments, 5 new learners, 11 items, 11 events.",
        "BBB_2014B: 1 enrollments, 0 new learners, 3 items, 3 events.",
    ]


@pytest.mark.django_db(transaction=True)
def test_other_sessions_cannot_record_the_tables_as_empty_during_an_import(folder, monkeypatch):
    monkeypatch.setattr(runs, "BATCH_SIZE", 2)
    refused, known = [], []

    def analyze(run, count):
        if not count:
            return
        # Autovacuum may do this at any time, and it sees no rows of the import.
        with psycopg.connect(database_url(), autocommit=True) as other:
            other.execute("SET lock_timeout = '50ms'")
            for table in ("activity_event", "activity_enrollment"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    other.execute(f"ANALYZE {table}")
                refused.append(table)
        known.append(known_rows("activity_event"))

    options = ImportOptions(NOW)
    list(import_runs(folder, runs=["AAA_2013J"], options=options, on_progress=analyze))

    assert len(refused) == 6
    # During the import, the statistics count at least half of its rows.
    assert known == [8, 8, 8]
    assert known_rows("activity_event") == 11


def known_rows(table):
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [table])
        return cursor.fetchone()[0]


# Refusals: an error sentence, and nothing of the run is stored.


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_file_is_named(folder, name):
    (folder / f"{name}.csv.gz").unlink()
    with pytest.raises(CommandError, match=f"{name}.csv.gz is missing.") as refusal:
        call_command("import_oulad", folder, "--all")
    assert refusal.value.returncode == 1
    assert nothing_landed()


@pytest.mark.parametrize("name", [*TABLES, "studentVle/AAA_2013J"])
def test_a_truncated_file_is_named(folder, name):
    truncate(folder / f"{name}.csv.gz")
    with pytest.raises(CommandError, match=f"{name}.csv.gz is truncated or damaged"):
        call_command("import_oulad", folder, "--runs", "AAA_2013J")
    assert nothing_landed()


@pytest.mark.parametrize(
    "content",
    # Compressed bytes contain the time of compression. In a test's name they would differ
    # between the processes that run the tests.
    [b"", b"no gzip", gzip.compress(b"a,b\n1,2\n", mtime=0)],
    ids=["empty", "no gzip", "other columns"],
)
def test_a_file_that_is_no_such_table_is_named(folder, content):
    (folder / "vle.csv.gz").write_bytes(content)
    with pytest.raises(CommandError, match=r"vle.csv.gz (is|cannot be read as a table)"):
        call_command("import_oulad", folder, "--all")
    assert nothing_landed()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"The folder .*nowhere is missing."):
        call_command("import_oulad", tmp_path / "nowhere", "--all")


def test_runs_before_a_truncated_one_stay_and_nothing_of_it_is_stored(folder, capsys):
    truncate(folder / "studentVle.parquet")
    with pytest.raises(CommandError, match=r"studentVle.parquet is truncated or damaged"):
        call_command("import_oulad", folder, "--all")
    assert capsys.readouterr().out.startswith("AAA_2013J: 5 enrollments")
    assert list(Course.objects.values_list("key", flat=True)) == ["AAA_2013J"]


def test_a_missing_parquet_file_is_named_only_where_it_is_needed(folder):
    (folder / "studentVle.parquet").unlink()
    run_import(folder)
    with pytest.raises(OuladError, match=r"studentVle.parquet is missing."):
        run_import(folder, "BBB_2014B")


def test_an_unknown_run_is_named_with_the_known_ones(folder):
    sentence = "Run 'CCC_2013J' is unknown; the runs are AAA_2013J, BBB_2014B."
    with pytest.raises(CommandError, match=sentence):
        call_command("import_oulad", folder, "--runs", "AAA_2013J,CCC_2013J,BBB_2014B")
    assert list(Course.objects.values_list("key", flat=True)) == ["AAA_2013J"]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"id_student": 7, "id_site": 201}, "has clicks of student 7"),
        ({"id_student": 1, "id_site": 101}, "has clicks on site 101"),
    ],
)
def test_a_click_that_fits_no_roster_or_site_is_refused(folder, row, sentence):
    rows = [BBB | {"date": 0, "sum_click": 1} | row]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), folder / "studentVle.parquet")
    with pytest.raises(OuladError, match=sentence):
        run_import(folder, "BBB_2014B")
    assert nothing_landed()


def test_a_score_out_of_range_is_refused(folder):
    rows = [row | {"score": 170} for row in SMALL["studentAssessment"]]
    write_table(folder / "studentAssessment.csv.gz", rows)
    with pytest.raises(OuladError, match="Run AAA_2013J holds a value that cannot be stored"):
        run_import(folder)
    assert nothing_landed()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_killed_import_leaves_nothing_half_done(folder):
    command = (sys.executable, "manage.py", "import_oulad", str(folder), "--runs", "AAA_2013J")
    process = start_command(*command)
    with running(process), transaction.atomic(), connection.cursor() as cursor:
        # The import has stored its roster when it waits for the event that this transaction holds.
        Event.objects.create(
            enrollment=make_enrollment(),
            verb="VIEW_ITEM",
            occurred_at=NOW,
            received_at=NOW,
            source="oulad",
            source_id="vle:AAA_2013J:1:101:0",
        )
        wait_for_lock(cursor, process)
        process.kill()
        process.wait()
        transaction.set_rollback(True)
    wait_until_gone()
    assert nothing_landed()
    assert not Enrollment.objects.exists()
    assert not Item.objects.exists()
    assert not Due.objects.exists()


def wait_for_lock(cursor, process):
    deadline = time.monotonic() + SECONDS_TO_FINISH
    while time.monotonic() < deadline and process.poll() is None:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND transactionid = pg_current_xact_id()::xid"
        )
        if cursor.fetchone()[0]:
            return
        time.sleep(0.05)
    raise AssertionError("the import never came to the events")


def wait_until_gone():
    # The server notices the dead client only when it has something to say to it.
    assert wait_until(lambda: not others()), "the killed import still has its connection"


def others():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0]
