"""The configuration of the demo: messages, cadences and limits. No database."""

from dataclasses import dataclass
from datetime import time, timedelta

COURSE_KEY = "nudgelab-demo"
COURSE_TITLE = "Statistics for everybody"
PLAYBOOK = "five-segments"
# The demo has its own playbook. With a shared one, its cadences would message other courses too.
PLAYBOOK_KEY = "demo-five-segments"
EXPERIMENT_KEY = "demo-quiz-nudge"
EXPERIMENT_SEGMENT = "video-only"
CONTROL, NUDGE = "control", "nudge"
# In the first week every learner looks video-only, because no learner has reached a quiz.
EXPERIMENT_STARTS_AFTER = timedelta(days=7, hours=12)
QUIET_FROM, QUIET_UNTIL = time(21), time(6)

DAY = timedelta(days=1)
# Most learners enter a segment in the evening or at midnight. Seven hours later it is morning.
NEXT_MORNING = timedelta(hours=7)


@dataclass(frozen=True)
class DemoCategory:
    """A kind of message."""

    key: str
    name: str
    description: str


@dataclass(frozen=True)
class DemoStep:
    """A message of a cadence: its delay after the previous one, and its text in Liquid."""

    delay: timedelta
    key: str
    subject: str
    body: str


@dataclass(frozen=True)
class DemoCadence:
    """A cadence of a segment. With `is_treatment` only the experiment's nudge arm receives it."""

    key: str
    name: str
    segment: str
    category: str
    priority: int
    # The end of the sentence "It comes now because ..." in the message.
    why_now: str
    steps: tuple[DemoStep, ...]
    is_treatment: bool = False


@dataclass(frozen=True)
class DemoCap:
    """A frequency cap of the demo course. With category None every message counts."""

    name: str
    category: str | None
    limit: int
    window: str
    length: int
    on_exceed: str


CATEGORIES = (
    DemoCategory("demo-coaching", "Coaching", "Help with the current module."),
    DemoCategory("demo-reminders", "Reminders", "When the course went on without you."),
    DemoCategory("demo-tips", "Tips", "Extras for those who are well on their way."),
)

CAPS = (
    DemoCap("Demo: one message a day", None, 1, "calendar_day", 1, "defer"),
    DemoCap("Demo: three messages in seven days", None, 3, "rolling_days", 7, "drop"),
    DemoCap("Demo: one tip in seven days", "demo-tips", 1, "rolling_days", 7, "drop"),
)

_NEXT = (
    "{% if next_item.url %}<p>Next up"
    "{% if next_item.minutes %} ({{ next_item.minutes }} minutes){% endif %}: "
    '<a href="{{ next_item.url }}">{{ next_item.title }}</a></p>{% endif %}'
)
_PROGRESS = (
    "<p>You have completed {{ progress.modules_completed }} of"
    " {{ progress.modules_total }} modules.</p>"
)


def _hello(words: str) -> str:
    return f"<p>Hello {{{{ learner.first_name | default: 'there' }}}},</p><p>{words}</p>"


CADENCES = (
    DemoCadence(
        key="demo-pick-up-again",
        name="Pick up again",
        segment="stalled",
        category="demo-reminders",
        priority=30,
        why_now="you have not been in the course for a week",
        steps=(
            DemoStep(
                NEXT_MORNING,
                "demo-one-small-step",
                "One small step back into {{ course.title }}",
                _hello("A few minutes are enough to be back in.") + _NEXT,
            ),
            DemoStep(
                4 * DAY,
                "demo-where-you-stand",
                "Where you stand in {{ course.title }}",
                _hello("Here is what you have done so far.") + _PROGRESS + _NEXT,
            ),
        ),
    ),
    DemoCadence(
        key="demo-catch-up",
        name="Catch up",
        segment="at-risk",
        category="demo-coaching",
        priority=20,
        why_now="some of the last two weeks' work is still open",
        steps=(
            DemoStep(
                NEXT_MORNING,
                "demo-a-second-look",
                "A second look at what was hard",
                _hello("Going over the page once more before the quiz helps most.") + _NEXT,
            ),
            DemoStep(
                5 * DAY,
                "demo-ask-for-help",
                "Shall we go through it together?",
                _hello("Answer this message and your teacher will find a time.") + _NEXT,
            ),
        ),
    ),
    DemoCadence(
        key="demo-nudge-to-the-quiz",
        name="Nudge to the quiz",
        segment=EXPERIMENT_SEGMENT,
        category="demo-coaching",
        priority=10,
        is_treatment=True,
        why_now="you have watched and read, and not tried the quiz yet",
        steps=(
            DemoStep(
                NEXT_MORNING,
                "demo-try-the-quiz",
                "Ten minutes to see what stuck",
                _hello("You have watched; now the quiz shows what stuck. It cannot go wrong.")
                + _NEXT,
            ),
            DemoStep(
                3 * DAY,
                "demo-watch-with-purpose",
                "Watch with a question in mind",
                _hello("Read the quiz first, then watch: you will know what to look for."),
            ),
            DemoStep(
                4 * DAY,
                "demo-practice-quiz",
                "A practice quiz that does not count",
                _hello("Three questions, no mark, and the answers right after.") + _PROGRESS,
            ),
        ),
    ),
    DemoCadence(
        key="demo-skip-review",
        name="Skip the review",
        segment="veterans",
        category="demo-tips",
        priority=40,
        why_now="you do very well in the quizzes",
        steps=(
            DemoStep(
                NEXT_MORNING,
                "demo-go-deeper",
                "Something harder for you",
                _hello("You can skip the review and take the advanced reading."),
            ),
        ),
    ),
    DemoCadence(
        key="demo-next-up",
        name="Next up",
        segment="active-progress",
        category="demo-tips",
        priority=50,
        why_now="you have been active on three days of the last week",
        steps=(
            DemoStep(
                NEXT_MORNING,
                "demo-keep-going",
                "Well done, and what comes next",
                _hello("You are keeping up well.") + _PROGRESS + _NEXT,
            ),
            DemoStep(
                14 * DAY,
                "demo-stretch",
                "A stretch activity",
                _hello("If you like, try this week's question on data of your own."),
            ),
        ),
    ),
)
