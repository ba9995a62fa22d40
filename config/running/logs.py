"""Logging without learners' links: no line of any logger holds the token of a learner's page.

Links are masked when records are created. A filter would be needed on every handler, and the web
server and the worker add their own handlers.
"""

import logging
import logging.config
import traceback
from typing import Any

from common.masking import mask_links


class MaskedRecord(logging.LogRecord):
    """A log record whose message, traceback and stack hold no learner's link."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        message = _message(self)
        masked = mask_links(message)
        if masked != message:
            self.msg, self.args = masked, ()
        if self.exc_info and self.exc_info[0] is not None:
            # Formatters use this text instead of the exception.
            self.exc_text = mask_links("".join(traceback.format_exception(*self.exc_info)).rstrip())
        if self.stack_info:
            self.stack_info = mask_links(self.stack_info)


def configure(config: dict[str, Any]) -> None:
    """Configure logging by Django's settings, with masked records."""
    logging.setLogRecordFactory(MaskedRecord)
    logging.config.dictConfig(config)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # Message and arguments do not match. The handler prints both unchanged.
        return f"{record.msg} {record.args}"
