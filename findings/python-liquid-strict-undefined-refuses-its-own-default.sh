#!/usr/bin/env bash
# python-liquid 2.3.6: with StrictUndefined, which is there to find misspelt names, also the two ways
# by which a template allows for a name that may be missing raise: `{% if name %}` and
# `{{ name | default: "..." }}`. FalsyStrictUndefined lets both pass and still refuses `{{ name }}`.
# The filter `truncate` with a length below that of its dots makes a text longer: `truncate: 2` takes
# one character off the end, however long the text is, and adds three dots.
# Result: StrictUndefined raises in 3 of 3 templates, FalsyStrictUndefined in 1; "abcdef" cut at 2 is
# "abcde...", at 3 "...".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-liquid==2.3.6
"$folder/venv/bin/python" - <<'PY'
from liquid import Environment, FalsyStrictUndefined, StrictUndefined
from liquid.exceptions import UndefinedError

TEMPLATES = (
    "{% if teacher %}{{ teacher }}{% else %}your course{% endif %}",
    "{{ teacher | default: 'your course' }}",
    "{{ teacher }}",
)


def outcome(kind, template):
    try:
        return Environment(undefined=kind).from_string(template).render()
    except UndefinedError:
        return "raises"


found = {kind.__name__: [outcome(kind, each) for each in TEMPLATES]
         for kind in (StrictUndefined, FalsyStrictUndefined)}
print(found)
assert found["StrictUndefined"] == ["raises"] * 3
assert found["FalsyStrictUndefined"] == ["your course", "your course", "raises"]
cut = {length: Environment().from_string("{{ 'abcdef' | truncate: %d }}" % length).render()
       for length in (2, 3)}
print(cut)
assert cut == {2: "abcde...", 3: "..."}
PY
