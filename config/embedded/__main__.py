"""`python -m config.embedded start` and `... stop`, without loading any settings."""

import sys

from config import embedded

USAGE = "Usage: python -m config.embedded start|stop"


def main(arguments: list[str]) -> int:
    """Start or stop the servers, and return the status for the shell."""
    try:
        if arguments == ["start"]:
            embedded.ensure()
        elif arguments == ["stop"]:
            print(f"Stopped: {', '.join(embedded.stop()) or 'nothing was running'}.")
        else:
            print(USAGE, file=sys.stderr)
            return 2
    except embedded.ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
