"""`python -m config.running.stop`: end what `manage.py serve` started, and the embedded servers."""

import sys

from config import embedded
from config.running import processes


def main() -> int:
    """Stop everything of this checkout, say what it was, and return the status for the shell."""
    try:
        ended = processes.end_recorded(embedded.VAR / processes.RECORD_NAME)
        ended += embedded.stop()
    except embedded.ServerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Stopped: {', '.join(ended) or 'nothing was running'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
