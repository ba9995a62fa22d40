"""Signals of quizzes: attempts, scores and the share attempted. Pure."""

from segmentation.signals.shared import DAILY, PROGRESS, Compile, days_since, rate, sum_of
from segmentation.signals.sources import MODULES, QUIZZES, Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window


def _quiz_attempts_change(ref: SignalRef, sources: Sources) -> Compiled:
    window = ref.window or 0
    now = sources.sum_of_day("sum(a.attempts)", window)
    before = sources.sum_of_day("sum(a.attempts)", window, skip=window)
    return Compiled(f"(coalesce({now}, 0) - coalesce({before}, 0))::bigint")


def _share_of_scored(column: str) -> Compile:
    """Return the function that compiles a mean over the scored attempts of the window."""

    def compiled(ref: SignalRef, sources: Sources) -> Compiled:
        total = sources.sum_of_day(f"sum({column})", ref.window)
        scored = sources.sum_of_day("sum(a.scored)", ref.window)
        return Compiled(rate(total, scored), daily=ref.window is not None)

    return compiled


def _quiz_attempt_rate(ref: SignalRef, sources: Sources) -> Compiled:
    since = sources.touched_since(ref.window or 0)
    # An attempt touches the quiz's module, so attempted quizzes are always among those counted.
    attempted = sources.of_progress(
        f"count(*) FILTER (WHERE p.is_quiz AND p.last_attempt_at >= {since})",
        items=QUIZZES,
    )
    offered = sources.of_progress(
        f"sum(p.quizzes) FILTER (WHERE p.is_module AND p.last_touched_at >= {since})",
        items=MODULES,
    )
    return Compiled(rate(attempted, offered))


def _last_attempt(sources: Sources) -> str:
    return sources.sum_of_day("max(a.last_attempt_at)", None)


QUIZ = (
    Signal(
        name="quiz_attempts",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="quiz attempts",
        sentence="made {amount} {when}",
        unit=("quiz attempt", "quiz attempts"),
        help="Quiz attempts in the last N days. Assignments do not count.",
        needs=DAILY,
        sql=sum_of("a.attempts"),
    ),
    Signal(
        name="quiz_attempts_change",
        kind=SignalKind.CHANGE,
        window=Window.REQUIRED,
        label="change in quiz attempts",
        sentence="quiz attempts changed by {amount} from the {days} before to the last {days}",
        help="Quiz attempts in the last N days minus those in the N days before them.",
        needs=DAILY,
        sql=_quiz_attempts_change,
    ),
    Signal(
        name="quiz_attempt_rate",
        kind=SignalKind.RATE,
        window=Window.REQUIRED,
        label="share of quizzes attempted",
        sentence="attempted {amount} of the quizzes in the modules touched {when}",
        help="The share of quizzes attempted in the last N days, among the quizzes that are "
        "assigned so far, not due more than 7 days ahead, and in modules touched in the last N "
        "days. Unknown if there is no such quiz.",
        unknown="no module touched {when} has a quiz that is assigned yet and due within a week",
        needs=PROGRESS,
        sql=_quiz_attempt_rate,
    ),
    Signal(
        name="quiz_pass_rate",
        kind=SignalKind.RATE,
        window=Window.OPTIONAL,
        label="share of quiz attempts passed",
        sentence="passed {amount} of the scored quiz attempts {when}",
        help="Passed scored attempts divided by scored attempts. Unknown without a scored attempt.",
        unknown="no quiz attempt {when} has a score",
        needs=DAILY,
        sql=_share_of_scored("a.passed"),
    ),
    Signal(
        name="average_score",
        kind=SignalKind.RATE,
        window=Window.OPTIONAL,
        label="average quiz score",
        sentence="the average quiz score {when} is {amount}",
        help="The mean score (0 to 1) of the scored attempts. Unknown without a scored attempt.",
        unknown="no quiz attempt {when} has a score",
        needs=DAILY,
        sql=_share_of_scored("a.score_sum"),
    ),
    Signal(
        name="days_since_quiz_attempt",
        kind=SignalKind.DAYS,
        window=Window.NONE,
        label="days since the last quiz attempt",
        sentence="last attempted a quiz {amount} ago",
        help="Exact 24-hour days since the latest of: the last quiz attempt, the enrollment, the "
        "course start.",
        needs=DAILY,
        sql=days_since(_last_attempt),
    ),
)
