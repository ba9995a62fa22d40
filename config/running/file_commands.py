"""Commands that read a file and nothing else: no server is started for them and no app loaded."""

from django.conf import settings
from django.core.management import load_command_class

# Each with the app that has it.
FILE_COMMANDS = {"analyze_csv": "experiments", "draw_arms": "experiments"}


def run_file_command(arguments: list[str]) -> None:
    """Run one of these commands; `arguments` are the command line as manage.py got it."""
    # Django's own defaults: a file can be analyzed where nothing is configured.
    settings.configure()
    name = arguments[1]
    load_command_class(FILE_COMMANDS[name], name).run_from_argv(arguments)
