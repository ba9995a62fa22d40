"""Signals of the learner's traits. Pure."""

from segmentation.signals.arguments import TRAIT
from segmentation.signals.needs import Need
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window


def _trait(ref: SignalRef, sources: Sources) -> Compiled:
    value = sources.trait(ref.argument(TRAIT))
    # A null and an empty list are unknown.
    return Compiled(f"nullif(nullif({value}, 'null'::jsonb), '[]'::jsonb)", daily=False)


CONTEXT = (
    Signal(
        name="trait",
        kind=SignalKind.TRAIT,
        window=Window.NONE,
        label="trait",
        sentence="trait {arg} {amount}",
        args=(TRAIT,),
        help="A trait of the enrollment, such as earlier attempts, or of the learner, such as the "
        "region, if the enrollment has none. A list is compared by its members, a number as a "
        "number. Unknown if neither has it.",
        unknown="the roster gives no {arg}",
        needs=frozenset({Need.TRAITS}),
        sql=_trait,
    ),
)
