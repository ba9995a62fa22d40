"""The Open University Learning Analytics Dataset: import course runs from its files."""

from activity.importing.oulad.files import OuladError
from activity.importing.oulad.runs import (
    ImportOptions,
    RunImport,
    count_enrollments,
    import_runs,
    known_runs,
)

__all__ = [
    "ImportOptions",
    "OuladError",
    "RunImport",
    "count_enrollments",
    "import_runs",
    "known_runs",
]
