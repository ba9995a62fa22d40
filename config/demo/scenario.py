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
    """A message of a cadence: its delay after the previous one, and the key of a shipped text."""

    delay: timedelta
    key: str
    text: str


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

CADENCES = (
    DemoCadence(
        key="demo-pick-up-again",
        name="Pick up again",
        segment="stalled",
        category="demo-reminders",
        priority=30,
        why_now="you have not been in the course for a week",
        steps=(
            DemoStep(NEXT_MORNING, "demo-one-small-step", "small-start"),
            DemoStep(4 * DAY, "demo-where-you-stand", "where-you-stand"),
        ),
    ),
    DemoCadence(
        key="demo-catch-up",
        name="Catch up",
        segment="at-risk",
        category="demo-coaching",
        priority=20,
        why_now="some of the last two weeks' work is still open, or was hard",
        steps=(
            DemoStep(NEXT_MORNING, "demo-a-second-look", "another-look"),
            DemoStep(5 * DAY, "demo-ask-for-help", "ask-for-help"),
        ),
    ),
    DemoCadence(
        key="demo-nudge-to-the-quiz",
        name="Nudge to the quiz",
        segment=EXPERIMENT_SEGMENT,
        category="demo-coaching",
        priority=10,
        is_treatment=True,
        why_now="in the last two weeks you opened pages, videos or files and tried few or none of "
        "the quizzes",
        steps=(
            DemoStep(NEXT_MORNING, "demo-try-the-quiz", "try-the-quiz"),
            DemoStep(3 * DAY, "demo-watch-with-purpose", "watch-with-purpose"),
            DemoStep(4 * DAY, "demo-practice-quiz", "practice-quiz"),
        ),
    ),
    DemoCadence(
        key="demo-skip-review",
        name="Skip the review",
        segment="veterans",
        category="demo-tips",
        priority=40,
        why_now="you do very well in the quizzes",
        steps=(DemoStep(NEXT_MORNING, "demo-go-deeper", "go-further"),),
    ),
    DemoCadence(
        key="demo-next-up",
        name="Next up",
        segment="active-progress",
        category="demo-tips",
        priority=50,
        why_now="you have been active on at least three days of the last week",
        steps=(
            DemoStep(NEXT_MORNING, "demo-keep-going", "next-up"),
            DemoStep(14 * DAY, "demo-stretch", "stretch"),
        ),
    ),
)
