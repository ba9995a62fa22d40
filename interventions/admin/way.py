"""The steps of a cadence as a picture in words: what comes when, and where it goes on."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from interventions.models import Step
from interventions.policy.durations import delay_in_words
from segmentation.rules import RuleError, explain, parse


@dataclass(frozen=True)
class WayStep:
    """A step with its number and what is said of it. Empty texts are left out."""

    number: int
    when: str
    channel: str
    message: str
    condition: str
    otherwise: str
    then: str
    note: str


def way_through(steps: Sequence[Step]) -> list[WayStep]:
    """Return the saved steps in order, with their branches. Templates must be loaded."""
    leads_to = [set(_ways_on(steps, place)) for place in range(len(steps))]
    reached = _reached(leads_to)
    return [
        WayStep(
            number=place + 1,
            when=_when(step, place),
            channel=step.get_channel_display(),
            message=step.template.name,
            condition=_condition(step),
            otherwise=_goes_on(steps, step.following(met=False)) if step.condition else "",
            then=_then(steps, place),
            note=_note(place, leads_to, reached),
        )
        for place, step in enumerate(steps)
    ]


def _place_at(steps: Sequence[Step], position: int) -> int:
    return bisect_left([step.position for step in steps], position)


def _ways_on(steps: Sequence[Step], place: int) -> Iterator[int]:
    step = steps[place]
    yield _place_at(steps, step.following(met=True))
    if step.condition is not None:
        yield _place_at(steps, step.following(met=False))


def _reached(leads_to: Sequence[set[int]]) -> set[int]:
    """Return the places to which some way leads. All ways lead forward, so one pass is enough."""
    reached = {0}
    for place, following in enumerate(leads_to):
        if place in reached:
            reached |= following
    return reached


def _when(step: Step, place: int) -> str:
    if not step.delay:
        return "at once" if place == 0 else "at the same time"
    return f"{delay_in_words(step.delay)}{' than the start' if place == 0 else ''}"


def _condition(step: Step) -> str:
    if step.condition is None:
        return ""
    try:
        return explain(parse(step.condition))
    except RuleError:
        return "a rule that cannot be read"


def _goes_on(steps: Sequence[Step], position: int) -> str:
    place = _place_at(steps, position)
    return f"step {place + 1}" if place < len(steps) else "the end"


def _then(steps: Sequence[Step], place: int) -> str:
    # That the next row comes next needs no words, unless the step also says what comes if not.
    step = steps[place]
    is_plain = step.then_position is None and step.condition is None
    return "" if is_plain and place + 1 < len(steps) else _goes_on(steps, step.following(met=True))


def _note(place: int, leads_to: Sequence[set[int]], reached: set[int]) -> str:
    if place not in reached:
        return "No way leads to this step, so it is never sent."
    before = [each + 1 for each, following in enumerate(leads_to[:place]) if place in following]
    if place == 0 or before == [place]:
        return ""
    return f"Comes after step {' and step '.join(str(number) for number in before)}."
