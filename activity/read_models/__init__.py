"""The only definition of both read models: their columns, how events give their values, the merge.

The functions return SQL text and run nothing. Pure.
"""

from activity.read_models.daily import (
    DAILY_COLUMNS,
    daily_activity_select,
    merge_daily_activity,
)
from activity.read_models.progress import PROGRESS_COLUMNS, merge_progress, progress_select

__all__ = [
    "DAILY_COLUMNS",
    "PROGRESS_COLUMNS",
    "daily_activity_select",
    "merge_daily_activity",
    "merge_progress",
    "progress_select",
]
