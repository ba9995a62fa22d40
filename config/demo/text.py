"""The results of the demo as text for the terminal. No database."""

from collections.abc import Iterator, Mapping
from typing import Any

from config.demo.scenario import CONTROL, NUDGE


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a summary."""
    yield f"{found['learners']:,} learners, {found['weeks']} weeks, seed {found['seed']}."
    yield f"As of {found['as_of']}."
    yield from ("", "Segments (a learner is in the first one whose rule is true)")
    yield from (_line(one["name"], one["members"]) for one in found["segments"])
    yield from ("", *_messages(found["messages"]))
    yield from ("", *_experiment(found["experiment"]))


def _messages(messages: Mapping[str, Any]) -> Iterator[str]:
    yield "Messages"
    yield _line("handed off", messages["handed_off"])
    yield _line("ghosts (control: planned and capped, not sent)", messages["ghost"])
    yield _line("still waiting", messages["waiting"])
    yield from (_line(_words(name), number) for name, number in messages["other"].items())
    yield _line("dropped", messages["dropped"])
    yield from _reasons(messages["dropped_by_reason"])
    yield "  deferred at least once, by reason"
    yield from _reasons(messages["deferred_by_reason"])


def _reasons(counts: Mapping[str, int]) -> Iterator[str]:
    return (_line(f"  {_words(reason)}", number) for reason, number in counts.items())


def _experiment(experiment: Mapping[str, Any]) -> Iterator[str]:
    sizes = ", ".join(f"{key} {number:,}" for key, number in experiment["assigned"].items())
    yield f"Experiment: {experiment['name']}"
    yield f"  Assigned: {sizes}. Learners count once their 7 days have ended."
    heads = f"{CONTROL:>9}{NUDGE:>9}{'lift':>9}  {'95% interval':^20}{'true lift':>10}"
    yield f"  {'':34}{heads}  covered"
    yield from (_metric(metric) for metric in experiment["metrics"])
    yield from ("", *(f"  {metric['verdict']}" for metric in experiment["metrics"]))


def _metric(metric: Mapping[str, Any]) -> str:
    interval = f"{_signed(metric['low'])} to {_signed(metric['high'])}"
    return (
        f"  {metric['name']:34}{_plain(metric[CONTROL]):>9}{_plain(metric[NUDGE]):>9}"
        f"{_signed(metric['lift']):>9}  {interval:^20}{_signed(metric['true_lift']):>10}"
        f"  {'yes' if metric['covers'] else 'NO'}"
    )


def _line(name: str, number: int) -> str:
    return f"  {name:50}{number:>9,}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f}"
