"""The ready-made groups of staff with their permissions. Only values."""

from dataclasses import dataclass

# Tables by "app.model".
_COURSES = ("activity.course", "activity.section", "activity.item", "activity.verb")
_PEOPLE = ("activity.learner", "activity.enrollment")
_SEGMENTS = ("segmentation.playbook", "segmentation.segment", "segmentation.override")
_MESSAGES = (
    "interventions.category",
    "interventions.categorytext",
    "interventions.messagetemplate",
    "interventions.cadence",
    "interventions.step",
    "interventions.contentmapping",
    "interventions.frequencycap",
    "interventions.quiethours",
    "interventions.holdout",
    "interventions.suppression",
    "interventions.webhookendpoint",
    "interventions.coursesite",
)
_EXPERIMENTS = ("experiments.experiment", "experiments.arm", "experiments.exclusionlayer")
_RECORDS = (
    "activity.event",
    "activity.feed",
    "activity.feedhour",
    "activity.due",
    "activity.dailyactivity",
    "activity.progress",
    "activity.rejectedevent",
    "segmentation.playbookcourse",
    "segmentation.segmentversion",
    "segmentation.membership",
    "segmentation.transition",
    "segmentation.archivedtransition",
    "segmentation.surge",
    "segmentation.waitingentry",
    "segmentation.norms",
    "segmentation.evaluationday",
    "segmentation.freeze",
    "segmentation.rulesrevision",
    "experiments.assignment",
    "experiments.stratum",
    "experiments.sectiondraw",
    "experiments.ledgerentry",
    "experiments.deliveryoutcome",
    "interventions.run",
    "interventions.delivery",
    "interventions.archiveddelivery",
    "interventions.archivedtrace",
    "interventions.instructortask",
    "interventions.inappmessage",
    "interventions.sentmessage",
    "interventions.sentpage",
    "interventions.receipt",
    "interventions.trackingevent",
    "interventions.channelpace",
    "interventions.nudge",
    "interventions.consent",
    "interventions.templatetext",
    "interventions.sitepause",
    "interventions.pause",
    "interventions.learnerpause",
)
_WORK = (*_COURSES, *_PEOPLE, *_SEGMENTS, *_MESSAGES, *_EXPERIMENTS)
_SEND = ("activity.send_messages",)
_DO_TASKS = ("interventions.change_instructortask",)


@dataclass(frozen=True)
class ReadyGroup:
    """A group: the tables that its members may see or change and add to, and single permissions."""

    name: str
    sees: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()

    @property
    def codenames(self) -> set[str]:
        """Return the permissions as "app.codename"."""
        granted = {(verb, table) for table in self.changes for verb in ("view", "add", "change")}
        granted |= {("view", table) for table in self.sees}
        named = {f"{app}.{verb}_{model}" for verb, (app, model) in _split(granted)}
        return named | set(self.rights)


def _split(granted: set[tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return [(verb, (table.split(".")[0], table.split(".")[1])) for verb, table in granted]


READY_GROUPS = (
    # Everything to set up a course, except letting messages out.
    ReadyGroup(
        "Course admins",
        sees=_RECORDS,
        changes=_WORK,
        rights=("activity.export_lists", *_DO_TASKS),
    ),
    # The teachers of sections: their tasks, and the pages of the learners whom the tasks are about.
    ReadyGroup(
        "Instructors",
        sees=(*_PEOPLE, "activity.course", "activity.section", "interventions.instructortask"),
        rights=_DO_TASKS,
    ),
    ReadyGroup("Staff who read reports", sees=("experiments.experiment", "experiments.arm")),
    # Usually combined with another group. Alone it can see everything that lets messages out, and
    # let them out.
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
    # They can hold sending, correct rejected events and see all records, but let no message out.
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
