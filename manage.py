#!/usr/bin/env python
"""Command line of the project: `manage.py help` lists what it can do."""

import sys

from config.running.file_commands import FILE_COMMANDS, run_file_command

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in FILE_COMMANDS:
        run_file_command(sys.argv)
        sys.exit()

    # Only now: it brings in the servers, which takes longer than many a file.
    from config.running.startup import LOCAL_SETTINGS, OFFLINE_SETTINGS, prepare, run_command

    # Help needs no server, and must not start one.
    if not sys.argv[1:] or {"help", "--help", "-h", "version", "--version"} & set(sys.argv[1:]):
        prepare(default_settings=OFFLINE_SETTINGS)
    else:
        prepare(default_settings=LOCAL_SETTINGS)
    run_command(sys.argv)
