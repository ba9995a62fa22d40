"""The names that rules can use, and which sources the rules in force read."""

import json
from typing import Any

from django.db import connection

from activity.models import ItemKind
from activity.queries import known_verbs
from segmentation.models import SegmentStatus
from segmentation.rules import Known
from segmentation.signals import SIGNALS, Need

_READ = """
    SELECT EXISTS (
        SELECT FROM segmentation_segment s
        WHERE s.status = ANY(%(statuses)s)
            AND (jsonb_path_exists(s.rule, %(path)s::jsonpath, %(names)s::jsonb)
                OR jsonb_path_exists(s.leave_rule, %(path)s::jsonpath, %(names)s::jsonb))
    )"""
_PATH = "$.** ? (@.field == $names[*])"


def known_names() -> Known:
    """Return the verbs, built in or registered, and the kinds of items. One query."""
    return {"verbs": known_verbs(), "kinds": ItemKind.values}


def reads_log() -> bool:
    """Return whether the rule of a segment that is kept reads single events. One query.

    A frozen segment counts too: its members stay until somebody corrects it.
    """
    values: dict[str, Any] = {
        "statuses": [SegmentStatus.ACTIVE, SegmentStatus.FROZEN],
        "path": _PATH,
        "names": json.dumps({"names": [each.name for each in SIGNALS if Need.LOG in each.needs]}),
    }
    with connection.cursor() as cursor:
        cursor.execute(_READ, values)
        (found,) = cursor.fetchone()
    return bool(found)
