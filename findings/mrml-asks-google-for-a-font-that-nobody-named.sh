#!/usr/bin/env bash
# mrml 0.2.4 (MJML to HTML) with css-inline 0.24.0. A document that names no font gets one of
# MJML's own, and with it a link and an @import of fonts.googleapis.com: each learner who opens the
# mail is seen there. css-inline drops both by default, together with all @media rules. With
# `keep_style_tags=True`, which MJML's columns need, the @import stays, although remote stylesheets
# are not loaded. One that names another font for each text has none. `RenderOptions(fonts={})` is
# the switch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mrml==0.2.4 css-inline==0.24.0
"$folder/venv/bin/python" - <<'PY'
import css_inline
import mrml

TEXT = "<mjml><mj-body><mj-section><mj-column><mj-text{}>Hi</mj-text></mj-column></mj-section></mj-body></mjml>"


def asks(html):
    """Return how often the page asks the other site."""
    return html.count("fonts.googleapis.com")


def inlined(html, **options):
    return css_inline.inline(html, load_remote_stylesheets=False, **options)


plain = mrml.to_html(TEXT.format("")).content
found = {
    "no font named": asks(plain),
    "then inlined": asks(inlined(plain)),
    "then inlined, styles kept": asks(inlined(plain, keep_style_tags=True)),
    "another font named": asks(mrml.to_html(TEXT.format(' font-family="Arial"')).content),
    "fonts={}": asks(
        mrml.to_html(TEXT.format(""), render_options=mrml.RenderOptions(fonts={})).content
    ),
}
for what, number in found.items():
    print(f"{what}: {number}")
assert list(found.values()) == [2, 0, 1, 0, 0], found
PY
