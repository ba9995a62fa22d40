#!/usr/bin/env bash
# vl-convert-python 1.9.0.post1 (Vega-Lite 6), SVG of a chart with `"config": {"aria": false}`: the
# axes lose their labels for screen readers, but each group of marks stays in the tree, as a picture
# without a name: its role changes from graphics-object to graphics-symbol, which axe-core reports
# (svg-img-alt), more often than without the setting. `"config": {"mark": {"aria": false}}` is what
# hides the groups (aria-hidden).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vl-convert-python==1.9.0.post1
"$folder/venv/bin/python" - <<'PY'
import re

import vl_convert


def groups(config):
    """Return role and aria-hidden of the chart's group of marks."""
    chart = {
        "data": {"values": [{"a": 1}, {"a": 2}]},
        "mark": "point",
        "encoding": {"x": {"field": "a", "type": "quantitative"}},
        "config": config,
    }
    svg = vl_convert.vegalite_to_svg(chart, vl_version="6.1")
    (tag,) = re.findall(r'<g class="mark-symbol role-mark[^>]*>', svg)
    return tuple(
        found[1] if (found := re.search(rf'{name}="([^"]*)"', tag)) else None
        for name in ("role", "aria-hidden")
    )


for config, expected in (
    ({}, ("graphics-object", None)),
    ({"aria": False}, ("graphics-symbol", None)),
    ({"mark": {"aria": False}}, (None, "true")),
):
    role, hidden = groups(config)
    print(f"config {config}: role {role}, aria-hidden {hidden}")
    assert (role, hidden) == expected
PY
