"""Play a simulated course through all stages and print the results."""

import json
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import ProtectedError
from tqdm import tqdm

from activity.simulation.course import TIME_ZONE
from common.clock import local_date
from config.demo.arguments import not_negative, positive, share
from config.demo.login import DEMO_NAME, create_demo_user
from config.demo.run import DemoOptions, run_demo
from config.demo.text import lines
from config.running.processes import RECORD_NAME, read_record, same_process

# Three weeks are the minimum for a week in which learners are drawn and whose windows end.
FEWEST_WEEKS, MOST_WEEKS = 3, 26


class Command(BaseCommand):
    help = "Play a simulated course through all stages. An earlier demo is replaced."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        usual = DemoOptions()
        parser.add_argument("--learners", type=positive, default=usual.learners)
        parser.add_argument(
            "--weeks", type=weeks, default=usual.weeks, help="the course ends on 2025-10-26"
        )
        parser.add_argument("--seed", type=not_negative, default=usual.seed)
        parser.add_argument(
            "--probability",
            type=share,
            default=usual.probability,
            help="the chance that a message leads a learner to a quiz attempt, from 0 to 1",
        )
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *_: Any, **given: Any) -> None:
        """Play the demo and print the results."""
        _refuse_production()
        _refuse_beside_workers()
        options = DemoOptions(
            **{name: given[name] for name in ("learners", "weeks", "seed", "probability")}
        )
        with _progress(options.weeks * 7) as on_stop:
            found = _run(options, on_stop)
        _create_login()
        self.stdout.write(json.dumps(found, indent=2) if given["json"] else "\n".join(lines(found)))


def weeks(text: str) -> int:
    """Return a number of weeks that leaves room for an experiment. Raise ArgumentTypeError."""
    number = positive(text)
    if not FEWEST_WEEKS <= number <= MOST_WEEKS:
        raise ArgumentTypeError(f"'{text}' must be from {FEWEST_WEEKS} to {MOST_WEEKS}.")
    return number


def _run(options: DemoOptions, on_stop: Callable[[datetime], None]) -> dict[str, Any]:
    try:
        return run_demo(options, on_stop=on_stop)
    except ProtectedError as error:
        raise CommandError(
            "The earlier demo cannot be replaced, because other data depends on it. "
            f"Remove that data first: {error.args[0]}"
        ) from None


def _refuse_production() -> None:
    # A real mail server would send mail to invented learners, and the demo's login is public.
    if not settings.DEMO_LOGIN:
        raise CommandError("The demo does not run with production settings.")


def _refuse_beside_workers() -> None:
    """Refuse while `manage.py serve` runs here."""
    # Its workers use today's date, at which the demo's course of 2025 is over.
    rows = read_record(settings.VAR_DIR / RECORD_NAME)
    if any(same_process(row) for row in rows):
        raise CommandError(
            "Nudgelab runs in this folder, and its workers would disturb the demo. "
            "Stop it with Ctrl-C or make stop, run the demo, and then start it again."
        )


def _create_login() -> None:
    if not get_user_model().objects.filter(username=DEMO_NAME).exists():
        create_demo_user()


@contextmanager
def _progress(days: int) -> Iterator[Callable[[datetime], None]]:
    """Yield a function that moves the progress bar to the day of the simulated clock."""
    with tqdm(total=days, unit="day", desc="Setting up") as bar:
        seen: set[date] = set()

        def on_stop(instant: datetime) -> None:
            day = local_date(instant, TIME_ZONE)
            bar.set_description(f"{day}", refresh=False)
            bar.update(day not in seen)
            seen.add(day)

        yield on_stop
