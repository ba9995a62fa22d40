"""Admin pages of messages as they were sent, and of the pace of each channel."""

from django.contrib import admin
from django.template.defaultfilters import linebreaksbr
from unfold.decorators import display

from activity.admin import WHOLE_ID, ReadOnlyAdmin
from interventions import models
from interventions.render.masked_links import masked_text


@admin.register(models.SentMessage)
class SentMessageAdmin(ReadOnlyAdmin):
    """The words of messages as their last attempt handed them off, without learners' links."""

    list_display = ("subject", "delivery", "locale")
    list_select_related = (
        "delivery__step__cadence__segment__playbook",
        "delivery__learner",
        "delivery__enrollment__course",
    )
    exclude = ("page", "fillings", "text")
    readonly_fields = ("shown_text",)
    search_fields = ("delivery__enrollment__learner__external_id__exact",)
    search_help_text = WHOLE_ID

    @display(description="Text")
    def shown_text(self, sent: models.SentMessage) -> str:
        """Return the text part with its lines, and the keys of links hidden."""
        return linebreaksbr(masked_text(sent.text))


@admin.register(models.SentPage)
class SentPageAdmin(ReadOnlyAdmin):
    """The page around the words of many messages, kept once."""

    list_display = ("digest",)


@admin.register(models.ChannelPace)
class ChannelPaceAdmin(ReadOnlyAdmin):
    """Channels whose other side asked for less. A channel without a row goes at full pace."""

    list_display = ("channel", "shown_pace", "resumes_at", "at_once")

    @display(description="Pace")
    def shown_pace(self, pace: models.ChannelPace) -> str:
        """Return whether the channel is slowed, in words."""
        if not pace.slowed:
            return "full pace"
        often = "once" if pace.slowed == 1 else f"{pace.slowed} times in a row"
        return f"slowed: the other side asked {often} for less"
