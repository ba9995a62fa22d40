"""The messages that each arm received, and why others were not sent. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from experiments.reporting.facts import NO_MESSAGE, ArmFacts, DeliveryCounts, Fate
from experiments.reporting.reasons import reason_text
from experiments.reporting.report import Report

# The headings of the table, in its order. A reason follows the last three and "Waiting".
HEADINGS = {
    "handed_off": "Sent",
    "ghost": "Ghosts: would have been sent",
    "in_doubt": "May have been sent: nobody knows",
    "planned": "Planned: their time has not come",
    "deferred": "Waiting",
    "dropped": "Not sent",
    "expired": "Not sent in time",
    "failed": "Failed",
}
NOTHING = DeliveryCounts()


@dataclass(frozen=True)
class ReceivedRow:
    """One fate of messages: its words, and the counts of each arm in the report's order."""

    words: str
    fate: Fate
    cells: tuple[DeliveryCounts, ...]


def received_rows(report: Report) -> list[ReceivedRow]:
    """Return one row per fate that any arm has, the most frequent reasons first."""
    fates = {fate for arm in report.arms for fate in arm.deliveries} - {NO_MESSAGE}
    rows = [ReceivedRow(_words(fate), fate, tuple(_cells(report.arms, fate))) for fate in fates]
    return sorted(rows, key=_place)


def planned_numbers(report: Report) -> list[int]:
    """Return the number of all messages of each arm, whatever became of them."""
    return [sum(each.deliveries for each in arm.deliveries.values()) for arm in report.arms]


def learner_rows(report: Report) -> list[tuple[str, list[int]]]:
    """Return how many learners have a message, how many have none, and how many were drawn."""
    drawn = [arm.assigned for arm in report.arms]
    without = [arm.deliveries.get(NO_MESSAGE, NOTHING).learners for arm in report.arms]
    having = [all_of - none for all_of, none in zip(drawn, without, strict=True)]
    return [
        ("Learners with any of these messages, sent or not", having),
        ("Learners with none of them until now", without),
        ("Learners drawn", drawn),
    ]


def ghosts_note(report: Report) -> str:
    """Return why the control has more ghosts per learner than another arm has messages.

    Return an empty text if it has not.
    """
    ghosts = max(_per_learner(arm, "ghost") for arm in report.arms if arm.is_control)
    # An arm without learners has no messages either, which says nothing about the control.
    others = [arm for arm in report.arms if arm.assigned and not arm.is_control]
    messages = [_per_learner(arm, "handed_off") for arm in others]
    if ghosts <= min(messages, default=ghosts) or not _has_several(report):
        return ""
    return (
        "On average, a control learner has more ghosts than a learner of another arm has "
        "messages. This alone is not an error. Learners who do what a message asks for leave the "
        "segment, which usually ends their cadence. Control learners stay longer and collect "
        "more ghosts."
    )


def _has_several(report: Report) -> bool:
    """Return whether a control learner has more than one ghost."""
    counts = [arm.deliveries.get(Fate("ghost"), NOTHING) for arm in report.arms if arm.is_control]
    return any(each.deliveries > each.learners for each in counts)


def _cells(arms: Iterable[ArmFacts], fate: Fate) -> Iterator[DeliveryCounts]:
    for arm in arms:
        yield arm.deliveries.get(fate, NOTHING)


def _words(fate: Fate) -> str:
    heading = HEADINGS[fate.outcome]
    return f"{heading}, because {reason_text(fate.reason)}" if fate.reason else heading


def _place(row: ReceivedRow) -> tuple[int, int, str]:
    messages = sum(cell.deliveries for cell in row.cells)
    return (list(HEADINGS).index(row.fate.outcome), -messages, row.words)


def _per_learner(arm: ArmFacts, outcome: str) -> float:
    found = sum(n.deliveries for fate, n in arm.deliveries.items() if fate.outcome == outcome)
    return found / max(arm.assigned, 1)
