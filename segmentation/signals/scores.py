"""Scores from 1 to 5: in which fifth of the course a learner is. Pure."""

from segmentation.signals.needs import Need
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window
from segmentation.sql import microseconds

SCORES = frozenset({Need.DAILY, Need.SCORES})


def _recency(_: SignalRef, sources: Sources) -> Compiled:
    last = sources.sum_of_day("max(a.last_act_at)", None)
    return _score(microseconds(last), "recency_cuts", sources)


def _frequency(_: SignalRef, sources: Sources) -> Compiled:
    return _score(sources.sum_of_day("sum(a.acts)", None), "frequency_cuts", sources)


def _score(own: str, norm: str, sources: Sources) -> Compiled:
    """Return 1 and one more for each cut below the learner's value; 1 without a value."""
    cuts = sources.norm(norm, Need.SCORES)
    above = " + ".join(f"({own} > {cuts}[{place}])::int" for place in range(1, 5))
    return Compiled(f"CASE WHEN cardinality({cuts}) > 0 THEN coalesce(1 + {above}, 1) END")


FIFTHS = (
    Signal(
        name="recency_score",
        kind=SignalKind.SCORE,
        window=Window.NONE,
        label="recency score",
        sentence="recency score {amount} of 5",
        help="From 1 to 5: in which fifth of the learners with any act the last act is, the latest "
        "fifth is 5. The fifths are those at the beginning of the day. 1 without any act. Unknown "
        "while nobody in the course has done anything.",
        unknown="nobody in the course had done anything before today",
        needs=SCORES,
        sql=_recency,
    ),
    Signal(
        name="frequency_score",
        kind=SignalKind.SCORE,
        window=Window.NONE,
        label="frequency score",
        sentence="frequency score {amount} of 5",
        help="From 1 to 5: in which fifth of the learners with any act the number of all acts is, "
        "the most are 5. The fifths are those at the beginning of the day. 1 without any act. "
        "Unknown while nobody in the course has done anything.",
        unknown="nobody in the course had done anything before today",
        needs=SCORES,
        sql=_frequency,
    ),
)
