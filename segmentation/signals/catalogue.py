"""Every signal that a rule can name. What each means exactly stands in docs/rules.md. Pure."""

from segmentation.signals.types import Signal, SignalKind, SignalRef, Window

_ATTEMPT = ("quiz attempt", "quiz attempts")
_MODULE = ("module", "modules")


def _total(name: str, label: str, sentence: str, unit: tuple[str, str], explained: str) -> Signal:
    """Return a signal that sums something over the last N days."""
    return Signal(
        name=name,
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label=label,
        sentence=sentence,
        unit=unit,
        help=explained,
    )


def _days_since(name: str, label: str, sentence: str, act: str) -> Signal:
    """Return a signal that measures exact 24-hour days since the last such act."""
    return Signal(
        name=name,
        kind=SignalKind.DAYS,
        window=Window.NONE,
        label=label,
        sentence=sentence,
        help=f"Exact 24-hour days since the latest of: {act}, the enrollment, the course start.",
    )


_ACTIVITY = (
    Signal(
        name="active_days",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="days active",
        sentence="active on {amount} of the last {days}",
        within_window=True,
        help="Of the last N days, those with at least one act; a login is one.",
    ),
    _total(
        "logins",
        "logins",
        "logged in {amount} {when}",
        ("time", "times"),
        "Logins in the last N days.",
    ),
    _total(
        "content_views",
        "content views",
        "had {amount} {when}",
        ("content view", "content views"),
        "Views of modules and items, video plays and downloads in the last N days.",
    ),
    _total(
        "video_plays",
        "video plays",
        "played videos {amount} {when}",
        ("time", "times"),
        "Video plays in the last N days.",
    ),
    _total(
        "downloads",
        "downloads",
        "downloaded {amount} {when}",
        ("resource", "resources"),
        "Downloads of resources in the last N days.",
    ),
    _total(
        "assignments_started",
        "assignments started",
        "started {amount} {when}",
        ("assignment", "assignments"),
        "Assignments started in the last N days.",
    ),
    _days_since(
        "days_since_activity",
        "days since the last activity",
        "last active {amount} ago",
        "the last act",
    ),
)

_QUIZZES = (
    _total(
        "quiz_attempts",
        "quiz attempts",
        "made {amount} {when}",
        _ATTEMPT,
        "Quiz attempts in the last N days; an assignment is never one.",
    ),
    Signal(
        name="quiz_attempts_change",
        kind=SignalKind.CHANGE,
        window=Window.REQUIRED,
        label="change in quiz attempts",
        sentence="quiz attempts changed by {amount} from the {days} before to the last {days}",
        help="Quiz attempts in the last N days minus those in the N days before them.",
    ),
    Signal(
        name="quiz_attempt_rate",
        kind=SignalKind.RATE,
        window=Window.REQUIRED,
        label="share of quizzes attempted",
        sentence="attempted {amount} of the quizzes in the modules touched {when}",
        help="Of the quizzes assigned so far and not due more than 7 days ahead, in modules "
        "touched in the last N days, the share attempted in those days. Unknown if there is none.",
    ),
    Signal(
        name="quiz_pass_rate",
        kind=SignalKind.RATE,
        window=Window.OPTIONAL,
        label="share of quiz attempts passed",
        sentence="passed {amount} of the scored quiz attempts {when}",
        help="Passed scored attempts divided by scored attempts. Unknown without a scored attempt.",
    ),
    Signal(
        name="average_score",
        kind=SignalKind.RATE,
        window=Window.OPTIONAL,
        label="average quiz score",
        sentence="the average quiz score {when} is {amount}",
        help="The mean score (0 to 1) of the scored attempts. Unknown without a scored attempt.",
    ),
    _days_since(
        "days_since_quiz_attempt",
        "days since the last quiz attempt",
        "last attempted a quiz {amount} ago",
        "the last quiz attempt",
    ),
)

_COMPLETION = (
    Signal(
        name="modules_completed",
        kind=SignalKind.COUNT,
        window=Window.OPTIONAL,
        label="modules completed",
        sentence="completed {amount} {when}",
        unit=_MODULE,
        help="Modules whose first completion lies in the last N days.",
    ),
    Signal(
        name="completion_rate",
        kind=SignalKind.RATE,
        window=Window.NONE,
        label="share of modules completed",
        sentence="completed {amount} of the modules assigned so far",
        help="Of the modules assigned so far, the share completed. Unknown if none is assigned.",
    ),
    Signal(
        name="activities_completed_rate",
        kind=SignalKind.RATE,
        window=Window.OPTIONAL,
        label="share of owed activities completed",
        sentence="completed {amount} of the activities owed {when}",
        needs_norms=True,
        help="Of the activities owed in the last N days, the share completed by now. An activity "
        "is owed from the course's days of grace after its due day. Not owed are those due before "
        "the enrollment and those that nobody in the course had completed before today. Unknown "
        "if none is owed.",
    ),
    Signal(
        name="activities_overdue",
        kind=SignalKind.COUNT,
        window=Window.NONE,
        label="overdue activities",
        sentence="has {amount}",
        unit=("overdue activity", "overdue activities"),
        needs_norms=True,
        help="How many of all activities owed so far are not completed.",
    ),
    _days_since(
        "days_since_completion",
        "days since the last module completion",
        "last completed a module {amount} ago",
        "the last completion of a module",
    ),
    Signal(
        name="modules_open",
        kind=SignalKind.COUNT,
        window=Window.NONE,
        label="open modules",
        sentence="has {amount}",
        unit=("open module", "open modules"),
        help="Modules assigned so far and not completed, until 14 days after their due day.",
    ),
    Signal(
        name="modules_stalled",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="stalled modules",
        sentence="has {amount} untouched for {days}",
        unit=("begun module", "begun modules"),
        help="Modules assigned, begun and not completed, with no touch in the last N days.",
    ),
    Signal(
        name="pace_percentile",
        kind=SignalKind.RATE,
        window=Window.NONE,
        label="pace percentile",
        sentence="{amount} of the course completes modules faster",
        needs_norms=True,
        help="The rank of the learner's pace in the course, from 0, the fastest; half of those "
        "with the same pace count as faster. Unknown before the first completed module, and where "
        "more than half of the course has the same pace.",
    ),
)

_CONTEXT = (
    Signal(
        name="trait",
        kind=SignalKind.TRAIT,
        window=Window.NONE,
        label="trait",
        sentence="trait {arg} {amount}",
        args=("key",),
        help="A trait of the enrollment, such as earlier attempts, else of the learner, such as "
        "the region. A list is compared by its members, a number as a number. Unknown where both "
        "lack it.",
    ),
)

SIGNALS = _ACTIVITY + _QUIZZES + _COMPLETION + _CONTEXT
SIGNALS_BY_NAME = {signal.name: signal for signal in SIGNALS}

# What an export has of every signal that takes a window, beside "all" where that is allowed.
_USUAL_WINDOWS = (7, 14, 30)


def usual_refs() -> list[SignalRef]:
    """Return every signal without arguments, over the usual windows and over all days."""
    return [
        SignalRef(signal, window)
        for signal in SIGNALS
        if not signal.args
        for window in _windows(signal.window)
    ]


def _windows(window: Window) -> tuple[int | None, ...]:
    if window is Window.NONE:
        return (None,)
    return (*_USUAL_WINDOWS, None) if window is Window.OPTIONAL else _USUAL_WINDOWS
