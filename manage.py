#!/usr/bin/env python
"""Command line of the project. `manage.py help` lists the commands."""

import sys

from config.running.file_commands import FILE_COMMANDS, run_file_command


def main() -> None:
    """Run the command that the arguments of this process name."""
    if sys.argv[1:2] and sys.argv[1] in FILE_COMMANDS:
        run_file_command(sys.argv)
        return

    # Imported only here, because importing the server code takes longer than a file command.
    from config.running.startup import (  # noqa: PLC0415
        LOCAL_SETTINGS,
        OFFLINE_SETTINGS,
        asks_for_help,
        prepare,
        run_command,
    )

    # Help must not start a server.
    if asks_for_help(sys.argv):
        prepare(default_settings=OFFLINE_SETTINGS)
    else:
        prepare(default_settings=LOCAL_SETTINGS)
    run_command(sys.argv)


if __name__ == "__main__":
    main()
