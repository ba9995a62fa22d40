"""Decision records have unique numbers, and each record begins with its number."""

from pathlib import Path

RECORDS = sorted((Path(__file__).resolve().parents[2] / "docs" / "decisions").glob("[0-9]*.md"))


def test_no_two_records_have_one_number():
    numbers = [record.name[:4] for record in RECORDS]
    assert len(numbers) == len(set(numbers))


def test_a_record_begins_with_its_number():
    titles = {record.name: record.read_text().splitlines()[0] for record in RECORDS}
    assert {
        name for name, title in titles.items() if not title.startswith(f"# {int(name[:4])}.")
    } == set()
