"""The pages and files of reports."""

from experiments.views.check import check, mark_checked
from experiments.views.exports import report_file, report_rows
from experiments.views.reports import report, report_answer, report_csv, report_list
from experiments.views.snapshots import report_snapshot

__all__ = [
    "check",
    "mark_checked",
    "report",
    "report_answer",
    "report_csv",
    "report_file",
    "report_list",
    "report_rows",
    "report_snapshot",
]
