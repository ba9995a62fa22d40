"""Tables for a terminal: columns of aligned text. Pure."""

from collections.abc import Iterator, Mapping, Sequence

_GAP = "  "


def table_lines(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield a line of titles and one per row. Names are aligned left, and all else right.

    A row maps the titles of its columns to its cells, and may lack some. The first column has the
    names.
    """
    titles = list(dict.fromkeys(title for row in rows for title in row))
    lines = [titles, *([row.get(title, "") for title in titles] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    for line in lines:
        name, *numbers = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield _GAP.join((name, *numbers)).rstrip()
