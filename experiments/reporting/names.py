"""Names that carry their courses, because courses often have experiments of one name. Pure."""

from collections.abc import Sequence


def with_courses(name: str, titles: Sequence[str]) -> str:
    """Return the name with its courses: `Video-only (Biology 2025)`.

    Courses that the name already holds are not repeated, and more than two are counted.
    """
    if not titles or all(title in name for title in titles):
        return name
    if len(titles) > 2:
        return f"{name} ({len(titles)} courses)"
    return f"{name} ({' and '.join(titles)})"
