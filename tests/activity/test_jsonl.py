"""Importing JSON lines: a fault names its line, the rest is stored, a dry run stores nothing."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from activity.models import Course, Enrollment, Event, Item, Learner, RejectedEvent, Section
from activity.operations import jsonl
from activity.operations.jsonl import import_jsonl
from common.clock import utc_now
from interventions.queries.guards import NO_CAP, NO_QUIET_HOURS
from tests.factories import NOW

pytestmark = pytest.mark.django_db

GOOD = [
    {"type": "course", "key": "c", "starts_on": "2025-09-01", "ends_on": "2025-10-26"},
    {"type": "section", "course": "c", "key": "s"},
    {"type": "item", "course": "c", "key": "m", "kind": "module"},
    {"type": "item", "course": "c", "key": "q", "kind": "quiz", "parent": "m"},
    {"type": "learner", "external_id": "ana", "name": "Ana"},
    {"type": "learner", "external_id": "bo", "name": "Bo"},
    {"type": "enrollment", "course": "c", "learner": "ana", "section": "s"},
    {"type": "enrollment", "course": "c", "learner": "bo"},
    {
        "type": "event",
        "course": "c",
        "learner": "ana",
        "verb": "ATTEMPT_QUIZ",
        "item": "q",
        "score": 0.75,
        "occurred_at": "2025-09-10T10:00:00+01:00",
        "source": "lms",
        "source_id": "1",
    },
]


IN_NO_PLAYBOOK = "it has no playbook: install the five segments on the course's page, or run"


def lines_of(*rows):
    """Return the rows as lines of a file. Text and bytes are not changed."""
    return [_line(row) for row in rows]


def _line(row):
    if isinstance(row, bytes):
        return row
    return row.encode() if isinstance(row, str) else json.dumps(row).encode()


def test_whole_course_is_imported_and_a_second_import_changes_nothing():
    first = import_jsonl(lines_of(*GOOD), now=NOW)
    assert first.faults == []
    assert first.saved == {"course": 1, "section": 1, "item": 2, "learner": 2, "enrollment": 2}
    assert (first.stored, first.repeated) == (1, 0)
    again = import_jsonl(lines_of(*GOOD), now=NOW)
    assert (again.stored, again.repeated) == (0, 1)
    assert [model.objects.count() for model in (Course, Section, Item, Learner, Enrollment)] == [
        1,
        1,
        2,
        2,
        2,
    ]


def test_fault_names_its_line_and_the_rest_is_imported():
    event = GOOD[-1]
    result = import_jsonl(
        lines_of(
            *GOOD,
            "",
            "nonsense",
            "[1]",
            '{"type": "evnt"}',
            '{"key": "x"}',
            '{"type": "event", "score": NaN}',
            b'{"type": "\xff"}',
            {"type": "learner", "external_id": "cy", "name": "Cy\nBcc: x"},
            json.dumps({**event, "source_id": "2", "score": 1.7}).replace("1.7", "1e400"),
            {**event, "source_id": "3", "occurred_at": "2025-09-10T10:00:00"},
            {**event, "source_id": "4", "learner": "cy"},
            {**event, "source_id": "5"},
            "[" * 100_000,
        ),
        now=NOW,
    )
    assert result.stored == 2
    assert [fault.line for fault in result.faults] == [11, 12, 13, 14, 15, 16, 18, 19, 20, 22]
    said = {fault.line: fault.message for fault in result.faults}
    assert said[11].startswith("The line is not JSON: Expecting value")
    assert said[12] == "A line must be an object, but this is a list."
    assert said[13].startswith("The type is 'evnt'; it must be one of course, section,")
    assert said[14].startswith("The type is missing; it must be one of")
    assert said[15] == "The line is not JSON: NaN is not a JSON number."
    assert said[16].startswith("The line is not JSON: 'utf-8' codec can't decode byte 0xff")
    assert said[18] == "score is 'inf'; it must be a number."
    assert said[20] == "Learner 'cy' is unknown or not in course 'c'."
    assert said[22] == "The line is nested too deeply."
    assert RejectedEvent.objects.count() == 3
    assert [remark.line for remark in result.remarks] == [17]
    assert result.remarks[0].message == "name: 'Cy\nBcc: x' is stored as 'Cy Bcc: x'."


def test_a_dry_run_reports_the_same_and_keeps_nothing():
    rows = lines_of(*GOOD, {**GOOD[-1], "score": 2}, "nonsense")
    dry = import_jsonl(rows, now=NOW, dry_run=True)
    assert not Course.objects.exists()
    assert not Event.objects.exists()
    assert not RejectedEvent.objects.exists()
    assert dry == import_jsonl(rows, now=NOW)


def test_adjacent_lines_of_a_type_are_grouped_up_to_a_limit(monkeypatch):
    sizes = []

    def watched(events, *, now):
        sizes.append(len(events))
        return real(events, now=now)

    real = jsonl.ingest
    monkeypatch.setattr(jsonl, "ingest", watched)
    events = [{**GOOD[-1], "source_id": str(number)} for number in range(2_500)]
    assert import_jsonl(lines_of(*GOOD[:-1], *events), now=NOW).stored == 2_500
    assert sizes == [1_000, 1_000, 500]


def test_the_command_prints_only_json_when_asked(tmp_path):
    path = tmp_path / "course.jsonl"
    path.write_bytes(b"\n".join(lines_of(*GOOD, "nonsense")))
    out = StringIO()
    with pytest.raises(CommandError, match=r"^Refused lines: 1\. Correct"):
        call_command("import_jsonl", path, "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert said["stored"] == 1
    assert said["dry_run"] is False
    assert said["faults"][0]["line"] == len(GOOD) + 1


def test_command_prints_the_result_in_words(tmp_path):
    path = tmp_path / "course.jsonl"
    path.write_bytes(b"\n".join(lines_of(*GOOD, *["nonsense"] * 60)))
    out = StringIO()
    with pytest.raises(CommandError, match=r"^Refused lines: 60\."):
        call_command("import_jsonl", path, "--dry-run", stdout=out)
    said = out.getvalue()
    assert "This is a dry run. Nothing was saved." in said
    assert "learner: 2 would be saved" in said
    assert "event: 1 would be stored, 0 already stored before" in said
    assert "60 lines would not be imported" in said
    assert "  line 10: The line is not JSON" in said
    assert "... and 10 more" in said
    assert not Course.objects.exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"gone\.jsonl cannot be read: No such file"):
        call_command("import_jsonl", tmp_path / "gone.jsonl")


@pytest.mark.slow
def test_early_event_is_not_a_failure(tmp_path):
    ahead = {**GOOD[-1], "occurred_at": (utc_now() + timedelta(minutes=3)).isoformat()}
    path = tmp_path / "course.jsonl"
    path.write_bytes(b"\n".join(lines_of(*GOOD[:-1], ahead)))
    out = StringIO()

    call_command("import_jsonl", path, stdout=out)

    assert "1 lines were not imported" in out.getvalue()
    assert "min ahead of now: it is kept now and stored automatically" in out.getvalue()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["kept", "dry"])
def test_last_lines_say_what_prevents_messages(tmp_path, dry):
    path = tmp_path / "course.jsonl"
    path.write_bytes(b"\n".join(lines_of(*GOOD)))
    out = StringIO()

    call_command("import_jsonl", path, *dry, stdout=out)

    assert out.getvalue().splitlines()[-9:] == [
        "Course c: no message goes out yet, because",
        f"  - {IN_NO_PLAYBOOK} manage.py install_playbook five-segments --course c",
        '  - it is not live: press “Go live” on its page, or set its "live since"',
        "  - it is over: its last day was Sunday 26 October 2025",
        "Guards that apply to its messages:",
        "  - none",
        "Guards that are missing:",
        f"  - {NO_QUIET_HOURS}",
        f"  - {NO_CAP}",
    ]
