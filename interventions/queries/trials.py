"""Trials: messages with a learner's facts that no learner gets, for previews and test mails."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from uuid import uuid4

from django.conf import settings
from django.urls import reverse

from activity.models import Enrollment, Learner
from interventions.channels import Draft
from interventions.models import Cadence, TemplateText
from interventions.queries.context import message_context
from interventions.queries.forecast import unsaved_delivery
from interventions.render.context import SAMPLE, MessageContext
from interventions.render.links import site_host
from interventions.render.mail import Rendered, render_message

MARK = "Test: "


@dataclass(frozen=True)
class Trial:
    """A cadence that is in no table, and the member as whom its messages are shown.

    Without a member the messages have example values, and the course's title if it is known.
    """

    cadence: Cadence
    member: Enrollment | None
    course_title: str
    now: datetime

    @cached_property
    def context(self) -> MessageContext:
        """Return the variables without the learner's own links. At most one query."""
        page = f"{settings.BASE_URL}{reverse('interventions:trial_link')}"
        return replace(self._facts(), unsubscribe_url=page, preferences_url=page)

    def _facts(self) -> MessageContext:
        if self.member is None:
            title = self.course_title or SAMPLE.course_title
            return replace(SAMPLE, course_title=title, reason=self.cadence.why_now)
        delivery = unsaved_delivery(self.member, self.cadence)
        # In a simulated course the next item is that of its stopped clock. Today all would be over.
        now = self.member.course.clock_stopped_at or self.now
        return message_context(delivery, self.member.learner, now=now)

    @property
    def lacks_next_item(self) -> bool:
        """Return whether the member has no next item, so that a text uses its other words."""
        return self.context.next_item is None

    def rendered(self, *, subject: str, body: str, locale: str = "en") -> Rendered:
        """Return the message as the learner would see it. Raise TemplateError."""
        return render_message(
            subject=subject,
            body=body,
            context=self.context,
            postal_address=settings.POSTAL_ADDRESS,
            locale=locale,
        )

    def draft(self, *, subject: str, body: str, to: Learner, locale: str = "en") -> Draft:
        """Return the draft of a test mail to a member of staff, who is given as an unsaved row."""
        someone = self.member or Enrollment(learner=to)
        return Draft(
            delivery=unsaved_delivery(someone, self.cadence),
            learner=to,
            text=TemplateText(subject=f"{MARK}{subject}", body=body, locale=locale),
            # A reply must not reach the teacher as if it came from a learner.
            context=replace(self.context, reply_to=""),
            address=to.email or "",
            message_id=f"<test-{uuid4()}@{site_host()}>",
            written_at=self.now,
        )
