"""The groups of staff that a site may start with: what each may see and do. Only values."""

from dataclasses import dataclass

# Whole tables by "app.model"; what stands before it is what may be done with them.
_COURSES = ("activity.course", "activity.section", "activity.item", "activity.verb")
_PEOPLE = ("activity.learner", "activity.enrollment")
_SEGMENTS = ("segmentation.playbook", "segmentation.segment", "segmentation.override")
_MESSAGES = (
    "interventions.category",
    "interventions.messagetemplate",
    "interventions.cadence",
    "interventions.step",
    "interventions.frequencycap",
    "interventions.quiethours",
    "interventions.suppression",
)
_EXPERIMENTS = ("experiments.experiment", "experiments.arm")
_RECORDS = (
    "activity.event",
    "activity.due",
    "activity.dailyactivity",
    "activity.progress",
    "activity.rejectedevent",
    "segmentation.playbookcourse",
    "segmentation.segmentversion",
    "segmentation.membership",
    "segmentation.transition",
    "segmentation.surge",
    "segmentation.waitingentry",
    "segmentation.norms",
    "segmentation.rulesrevision",
    "experiments.assignment",
    "experiments.deliveryoutcome",
    "interventions.run",
    "interventions.delivery",
    "interventions.consent",
    "interventions.templatetext",
    "interventions.sitepause",
    "interventions.pause",
)
_WORK = (*_COURSES, *_PEOPLE, *_SEGMENTS, *_MESSAGES, *_EXPERIMENTS)
_SEND = ("activity.send_messages",)


@dataclass(frozen=True)
class ReadyGroup:
    """A group: the tables its members may see, change and add to, and single rights."""

    name: str
    sees: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()

    @property
    def codenames(self) -> set[str]:
        """Return its permissions as "app.codename"."""
        granted = {(verb, table) for table in self.changes for verb in ("view", "add", "change")}
        granted |= {("view", table) for table in self.sees}
        named = {f"{app}.{verb}_{model}" for verb, (app, model) in _split(granted)}
        return named | set(self.rights)


def _split(granted: set[tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return [(verb, (table.split(".")[0], table.split(".")[1])) for verb, table in granted]


READY_GROUPS = (
    # Everything that makes a course work, up to the point where learners are mailed.
    ReadyGroup("Course admins", sees=_RECORDS, changes=_WORK),
    ReadyGroup("Staff who read reports", sees=("experiments.experiment", "experiments.arm")),
    # Together with another group: on its own it looks at what it lets out, and lets it out.
    ReadyGroup(
        "Senders",
        sees=(*_COURSES, *_SEGMENTS, *_MESSAGES, *_EXPERIMENTS, "interventions.delivery"),
        rights=(
            *_SEND,
            "activity.change_course",
            "segmentation.change_segment",
            "interventions.change_cadence",
            "interventions.view_sitepause",
            "interventions.change_sitepause",
            "interventions.view_pause",
            "experiments.change_experiment",
        ),
    ),
    # Hold everything, mend what was rejected, and look at what happened; nothing goes out by them.
    ReadyGroup(
        "Operators",
        sees=(*_RECORDS, *_COURSES, *_PEOPLE, "interventions.cadence", "interventions.step"),
        rights=(
            "activity.change_rejectedevent",
            "interventions.change_sitepause",
            "interventions.view_suppression",
            "interventions.add_suppression",
        ),
    ),
)
