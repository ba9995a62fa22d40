"""An import of a spreadsheet tells how far it is, and its page shows it."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from activity.operations import spreadsheet
from activity.operations.spreadsheet import RowKind, import_spreadsheet
from activity.queries import running_imports, telling_progress
from activity.spreadsheet import read_sheet, sheet_rows
from tests.factories import NOW, make_course

pytestmark = pytest.mark.django_db
IMPORT, PROGRESS = "/learners/import/", "/learners/import/progress/"


def look_again() -> None:
    """Forget the names of connections that were read: PostgreSQL keeps them in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")


@pytest.mark.parametrize("dry_run", [True, False])
def test_import_tells_how_many_rows_are_done_and_then_nothing(
    monkeypatch: Any, dry_run: bool
) -> None:
    user, course = User.objects.create_user("bo", is_staff=True), make_course()
    monkeypatch.setattr(spreadsheet, "_BATCH", 2)
    seen = []
    save = spreadsheet._save

    def save_and_look(*args: Any) -> Any:
        look_again()
        seen.extend((each.course, each.done, each.of) for each in running_imports(user))
        assert not running_imports(User(pk=user.pk + 1))
        return save(*args)

    monkeypatch.setattr(spreadsheet, "_save", save_and_look)
    rows = sheet_rows(
        read_sheet("id\na\nb\nc\na\ne\n"), columns={"external_id": 0}, course="", time_zone="UTC"
    )
    results = import_spreadsheet(course, rows, viewer=user, now=NOW, dry_run=dry_run)

    assert seen == [(course, done, 5) for done in (0, 2, 4)]
    look_again()
    assert running_imports(user) == []
    # A learner of an earlier batch is known, whether it is stored or not.
    assert [each.kind for each in results][3] == RowKind.SAME


def test_page_shows_an_import_at_work_until_it_has_ended(admin_client: Client) -> None:
    user, course = User.objects.get(), make_course(title="Biology")

    with telling_progress(user, course, of=5_000) as tell:
        tell(1_000)
        opened, asked = (
            admin_client.get(IMPORT),
            admin_client.get(PROGRESS, headers={"HX-Request": "true"}),
        )

    for answer in (opened, asked):
        assert "1,000 of 5,000 rows for Biology are done" in answer.text
        assert 'max="5000" value="1000"' in answer.text
    look_again()
    ended = admin_client.get(PROGRESS, headers={"HX-Request": "true"})
    # The page stops asking.
    assert (ended.status_code, "Your import has ended" in ended.text) == (286, True)
    begun = admin_client.get(f"{PROGRESS}?own=1", headers={"HX-Request": "true"})
    assert (begun.status_code, "The lines are being read." in begun.text) == (200, True)
    assert admin_client.get(PROGRESS).url == IMPORT
