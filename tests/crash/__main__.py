"""Start the servers of the crash test, and the program on them."""

import subprocess
import sys

from tests.crash.servers import servers

PROGRAM = (
    "import sys, django; django.setup()\nfrom tests.crash.program import main; sys.exit(main())"
)


def main() -> int:
    """Run the program and stop the servers, whatever happened."""
    with servers() as env:
        command = [sys.executable, "-c", PROGRAM, *sys.argv[1:]]
        return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
