"""Mutated lines: none stops the import, refused ones are listed, and all pages answer."""

import json
import random

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.urls import reverse

from activity.models import Course
from activity.operations.jsonl import import_jsonl
from tests.factories import NOW
from tests.long import longer

BASE = [
    {"type": "course", "key": "c", "title": "C", "starts_on": "2025-09-01", "ends_on": "2025-10-26"}
    | {"time_zone": "Europe/London", "locale": "en", "pass_mark": 0.5, "live_since": None},
    {"type": "section", "course": "c", "key": "s", "teacher": "T"},
    {"type": "item", "course": "c", "key": "m", "kind": "module", "title": "M", "position": 1}
    | {"assigned_on": "2025-09-01", "due_on": "2025-09-10", "url": "https://example.org/m"},
    {"type": "item", "course": "c", "key": "q", "kind": "quiz", "parent": "m", "topic": "x"}
    | {"estimated_minutes": 5, "difficulty": "hard"},
    {"type": "learner", "external_id": "ana", "email": "ana@example.org", "name": "Ana"}
    | {"time_zone": "Europe/London", "locale": "en", "traits": {"region": "Wales"}},
    {"type": "enrollment", "course": "c", "learner": "ana", "section": "s"}
    | {"enrolled_at": "2025-09-01T00:00:00+01:00", "withdrew_at": None, "completed_at": None}
    | {"unit_key": "6a3bf2b4-9d0f-4a9f-8a6b-4b8b9b3e1c11", "traits": {"attempts": 1}},
    {"type": "event", "course": "c", "learner": "ana", "verb": "ATTEMPT_QUIZ", "item": "q"}
    | {"occurred_at": "2025-09-10T10:00:00+01:00", "score": 0.75, "passed": True, "value": 2.5}
    | {"count": 1, "source": "lms", "source_id": "1", "properties": {"a": [1, 2]}},
]
# As JSON text, because no JSON library writes some of them.
STRANGE = [
    *("null", "true", "false", '""', '" "', "0", "-1", "-0.0", "1.5", "1e308", "1e400", "-1e400"),
    *("NaN", "Infinity", "2147483648", "9223372036854775808", "9" * 40, "9" * 400, "9" * 5_000),
    *("[]", "{}", "[[]]", '{"a": null}', '["c"]', '{"a": NaN}', '{"\\u0000": "\\u0000"}'),
    *("[" * 60 + "]" * 60, "[" * 2_000 + "]" * 2_000, '{"a":' * 90 + "1" + "}" * 90),
    *('"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfffx"', '"\\n"', '"a\\tb"', '"\\u202eabc"'),
    *('"Jose\\u0301"', '"Jos\\u00e9"', '"' + "x" * 5_000 + '"', '"<script>"', '"\'; --"', '"%s"'),
    *('"0001-01-01"', '"9999-12-31"', '"2025-02-30"', '"2025-09-31T00:00:00Z"', '"20250901"'),
    *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-12:00"', '"2025-09-10T10:00:00"'),
    *('"2025-09-10T10:00:00z"', '"2199-12-31T23:59:59Z"', '"1900-01-01T00:00:00Z"', '"24:00"'),
    *('"1900-01-01"', '"2199-12-31"', '"2025-W37-3T10:00Z"', '"2025-09-10T10:00:00+99:99"'),
    *('"posix/UTC"', '"localtime"', '"../etc/passwd"', '"CET"', '"a..b@docomo.ne.jp"'),
    *('"\\u212a@example.org"', '"http://["', '"javascript:alert(1)"', '"module"', '"other"'),
    *('"00000000-0000-0000-0000-000000000000"', '"m"', '"q"', '"ana"', '"c"', '"PURCHASE"'),
]


def mutated(chance: random.Random) -> bytes:
    """Return one of the lines with up to three faults."""
    parts = {json.dumps(name): json.dumps(part) for name, part in chance.choice(BASE).items()}
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(sorted(parts) or ['"type"'])
        match chance.randrange(10):
            case 0:
                parts.pop(name, None)
            case 1:
                parts[chance.choice(['"\\ud800"', '"\\u0000"', '"colour"', '""'])] = "1"
            case 2:
                other = chance.choice(BASE)
                parts |= {json.dumps(each): json.dumps(part) for each, part in other.items()}
            case _:
                parts[name] = chance.choice(STRANGE)
    line = ("{" + ", ".join(f"{name}: {part}" for name, part in parts.items()) + "}").encode()
    return torn(line, chance) if chance.random() < 0.1 else line


def torn(line: bytes, chance: random.Random) -> bytes:
    """Return the line cut off, or with a wrong byte."""
    place = chance.randrange(1, len(line))
    kept = line[:place]
    return kept if chance.random() < 0.5 else kept + bytes([chance.randrange(256)]) + line[place:]


def pages():
    """Yield the URL of each list of the app, and the URLs of some of its last rows."""
    for model in apps.get_app_config("activity").get_models():
        name = f"admin:activity_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        for pk in model._default_manager.order_by("-pk").values_list("pk", flat=True)[:60:6]:
            yield reverse(f"{name}_change", args=[pk])


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("number", "seeds"),
    [
        (200, 1),
        *longer("test_mutated_lines_affect_no_other_lines_and_every_page_answers", (800, 2)),
    ],
)
def test_mutated_lines_affect_no_other_lines_and_every_page_answers(client, number, seeds):
    good = [json.dumps(line).encode() for line in BASE]
    assert import_jsonl(good, now=NOW).faults == []

    for seed in range(seeds):
        chance = random.Random(seed)
        # A line break would split a line in two.
        lines = [mutated(chance).replace(b"\n", b" ") for _ in range(number)]
        result = import_jsonl(lines, now=NOW)

        taken = sum(result.saved.values()) + result.stored + result.repeated
        assert taken + len({fault.line for fault in result.faults}) == len(lines)
        assert len(result.faults) > number / 4
        # As the command prints and writes them.
        said = [each.message for each in (*result.faults, *result.remarks)]
        assert all(text and text.encode() for text in said)

    client.force_login(get_user_model().objects.create_superuser("staff"))
    answers = {address: client.get(address).status_code for address in pages()}
    assert {address for address, status in answers.items() if status != 200} == set()
    assert Course.objects.filter(key="c").exists()
