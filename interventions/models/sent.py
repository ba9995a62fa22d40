"""What learners were sent, word for word."""

from itertools import chain, zip_longest

from django.db import models

from activity.models import SITE_ONLY, CourseScoped, through
from interventions.models.ledger import Delivery


class SentPage(CourseScoped):
    """What many messages have in common: the page around their words, in pieces. Append only."""

    course_scope = SITE_ONLY

    digest = models.CharField(max_length=64, primary_key=True)
    pieces = models.JSONField()

    def __str__(self) -> str:
        return self.digest


class SentMessage(CourseScoped):
    """A message as its last attempt handed it off, or tried to. Written with the claim.

    A template has versions, but the facts of the learner, the words around the text and the links
    exist only here. It is deleted with its delivery.
    """

    course_scope = through("delivery__enrollment__course")

    delivery = models.OneToOneField(
        Delivery, primary_key=True, on_delete=models.CASCADE, related_name="sent_message"
    )
    subject = models.CharField(max_length=998)
    # The page is kept once for all its messages. Its bytes in each row would take longer to write
    # than all the rest of a claim.
    page = models.ForeignKey(SentPage, null=True, on_delete=models.PROTECT, related_name="+")
    # What stands between the pieces of the page; without a page the whole HTML.
    fillings = models.JSONField(default=list)
    text = models.TextField(blank=True)
    locale = models.CharField(max_length=16)
    sender = models.CharField(max_length=998, blank=True)
    reply_to = models.CharField(max_length=998, blank=True)

    def __str__(self) -> str:
        return self.subject

    @property
    def html(self) -> str:
        """Return the HTML that was sent, or an empty text for a message without HTML."""
        pieces = self.page.pieces if self.page else []
        return "".join(chain.from_iterable(zip_longest(pieces, self.fillings, fillvalue="")))
