#!/usr/bin/env python
"""Command line of the project: `manage.py help` lists what it can do."""

import sys

from django.core.management import execute_from_command_line

from config.startup import prepare

if __name__ == "__main__":
    prepare()
    execute_from_command_line(sys.argv)
