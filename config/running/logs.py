"""Logging: no line of any logger, at any level, holds the key of a learner's page.

Done where records are made. A filter would have to be on every handler, and the web server and the
worker bring handlers of their own.
"""

import logging
import logging.config
import traceback
from typing import Any

from common.masking import mask_links


class MaskedRecord(logging.LogRecord):
    """A record whose words, traceback and stack hold no learner's link."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        said = _said(self)
        masked = mask_links(said)
        if masked != said:
            self.msg, self.args = masked, ()
        if self.exc_info and self.exc_info[0] is not None:
            # Formatters take this text in place of the exception.
            self.exc_text = mask_links("".join(traceback.format_exception(*self.exc_info)).rstrip())
        if self.stack_info:
            self.stack_info = mask_links(self.stack_info)


def configure(config: dict[str, Any]) -> None:
    """Set logging up as Django's settings say, with masked records."""
    logging.setLogRecordFactory(MaskedRecord)
    logging.config.dictConfig(config)


def _said(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # The words and the values do not fit; the handler will print both as they are.
        return f"{record.msg} {record.args}"
