"""Models of interventions: templates, cadences, runs, the delivery ledger and its limits."""

from interventions.models.archive import ArchivedDelivery, ArchivedTrace
from interventions.models.cadences import (
    DEFAULT_MAX_AGE,
    END_POSITION,
    Cadence,
    CadenceStatus,
    Reentry,
    Step,
    Trigger,
)
from interventions.models.holdouts import Holdout
from interventions.models.in_app import CourseSite, InAppMessage
from interventions.models.ledger import (
    COUNTED_STATES,
    Delivery,
    DeliveryState,
    Run,
    RunStatus,
)
from interventions.models.limits import (
    CapScope,
    CapWindow,
    Consent,
    ConsentSource,
    ConsentState,
    FrequencyCap,
    OnExceed,
    QuietHours,
    Suppression,
)
from interventions.models.messages import (
    Category,
    CategoryText,
    Channel,
    InDoubtPolicy,
    MailboxMessage,
    MessageTemplate,
    TemplateText,
)
from interventions.models.nudges import Nudge
from interventions.models.pace import ChannelPace
from interventions.models.pauses import LearnerPause, Pause, SitePause
from interventions.models.recommendations import ContentMapping
from interventions.models.sent import SentMessage, SentPage
from interventions.models.tasks import WAITING_STATES, InstructorTask, TaskState
from interventions.models.tracking import BounceKind, Receipt, TrackingEvent, TrackingKind
from interventions.models.webhooks import WebhookEndpoint

__all__ = [
    "COUNTED_STATES",
    "DEFAULT_MAX_AGE",
    "END_POSITION",
    "WAITING_STATES",
    "ArchivedDelivery",
    "ArchivedTrace",
    "BounceKind",
    "Cadence",
    "CadenceStatus",
    "CapScope",
    "CapWindow",
    "Category",
    "CategoryText",
    "Channel",
    "ChannelPace",
    "Consent",
    "ConsentSource",
    "ConsentState",
    "ContentMapping",
    "CourseSite",
    "Delivery",
    "DeliveryState",
    "FrequencyCap",
    "Holdout",
    "InAppMessage",
    "InDoubtPolicy",
    "InstructorTask",
    "LearnerPause",
    "MailboxMessage",
    "MessageTemplate",
    "Nudge",
    "OnExceed",
    "Pause",
    "QuietHours",
    "Receipt",
    "Reentry",
    "Run",
    "RunStatus",
    "SentMessage",
    "SentPage",
    "SitePause",
    "Step",
    "Suppression",
    "TaskState",
    "TemplateText",
    "TrackingEvent",
    "TrackingKind",
    "Trigger",
    "WebhookEndpoint",
]
