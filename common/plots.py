"""Draw an Altair chart as SVG for the pages. Pure.

Its colors are the CSS variables of the page, so one drawing fits light and dark mode.
"""

from typing import Any

import vl_convert

# The drawing library does not accept CSS variables. It gets these unusual colors, and each is
# replaced by a variable of the page's style sheet.
INK, QUIET, LINE, ACCENT, GROUND = "#010203", "#010204", "#010205", "#010206", "#010207"
GOOD, BAD = "#010208", "#010209"
_VARIABLES = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    GROUND: "var(--ground)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
}
# The same colors for a file of its own, which has no style sheet.
_COLORS = {
    "--ink": "#1b1b1b", "--quiet": "#666666", "--line": "#d9d9d9", "--accent": "#2456b8",
    "--ground": "#ffffff", "--good": "#1a7f37", "--bad": "#b3261e",
}  # fmt: skip
_FONT = "system-ui, sans-serif"


def draw(chart: Any) -> str:
    """Return the chart as SVG text with escaped labels. The first drawing takes about a second."""
    svg: str = vl_convert.vegalite_to_svg(_styled(chart).to_dict())
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    return svg


def on_its_own(svg: str) -> str:
    """Return the drawing of `draw` with colors of its own, for a file outside the pages."""
    for name, color in _COLORS.items():
        svg = svg.replace(f"var({name})", color)
    return svg


def _styled(chart: Any) -> Any:
    # The page names the whole plot and has the numbers as a table. Vega would present each group of
    # marks as a picture of its own, even an empty one without a name.
    styled = chart.configure(background="transparent", font=_FONT).configure_mark(aria=False)
    styled = styled.configure_view(stroke=None)
    styled = styled.configure_legend(labelColor=QUIET, labelFontSize=12, symbolStrokeColor=INK)
    return styled.configure_axis(
        labelColor=QUIET, titleColor=QUIET, titleFontWeight="normal", titleFontSize=12,
        labelFontSize=12, gridColor=LINE, domainColor=LINE, tickColor=LINE, titlePadding=10,
    )  # fmt: skip
