"""`python -m config.running.stop`: end the programs of `serve` and the embedded servers."""

import sys

from config import embedded
from config.places import VAR
from config.running import processes


def main() -> int:
    """Stop everything of this checkout, print the names, and return the exit status."""
    try:
        ended = processes.end_recorded(VAR / processes.RECORD_NAME)
        ended += embedded.stop()
    except embedded.ServerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Stopped: {', '.join(ended) or 'nothing was running'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
