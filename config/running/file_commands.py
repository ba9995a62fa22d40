"""Commands that only read a file or compute. They start no server and load no app."""

from django.conf import settings
from django.core.management import load_command_class

# The commands with their apps.
FILE_COMMANDS = dict.fromkeys(
    ("analyze_csv", "certify_statistics", "draw_arms", "plan_sample"), "experiments"
)


def run_file_command(arguments: list[str]) -> None:
    """Run one of these commands. `arguments` is the command line of manage.py."""
    # With Django's defaults a file can be analyzed even if nothing is configured.
    settings.configure()
    name = arguments[1]
    load_command_class(FILE_COMMANDS[name], name).run_from_argv(arguments)
