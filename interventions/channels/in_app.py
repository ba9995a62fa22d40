"""In-app messages: a title, a few lines and one link, shown by the site of a course."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml.html import fragment_fromstring

from activity.models import Learner
from interventions.channels.base import Channel, Draft, Outcome, Result, Route, Shown
from interventions.channels.local import LocalConnection
from interventions.models import CourseSite, InAppMessage
from interventions.render.mail import Rendered
from interventions.render.names import one_line
from interventions.render.short import check_short, preview_short, render_short

MAX_LINK_TEXT = 300


@dataclass(frozen=True)
class InApp:
    """The content of an in-app message."""

    rendered: Rendered
    link_url: str
    link_text: str
    expires_at: datetime


def in_app_address(learner: Learner) -> str:
    """Return the learner's own name on the course sites."""
    return f"in-app:{learner.external_id}"


def in_app_routes() -> Mapping[int | None, Route | None]:
    """Return the sites by course, None for one that is off. None is the shared one. One query."""
    # Without the sites that are off, the shared one would show what belongs to their courses.
    return {
        each.course_id: Route(each) if each.active else None for each in CourseSite.objects.all()
    }


def compose_in_app(draft: Draft) -> InApp:
    """Return the message. Raise ValueError if the text cannot be written."""
    rendered = render_short(subject=draft.text.subject, body=draft.text.body, context=draft.context)
    url, words = _link(rendered.html)
    return InApp(rendered, url, words[:MAX_LINK_TEXT], draft.delivery.expires_at)


def show_in_app(message: InApp) -> Shown:
    """Return what the learner reads."""
    return Shown(message.rendered.subject, message.rendered.html, message.rendered.text)


def record_in_app(outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Show the messages that were handed off. One query. One that is there stays as it is."""
    rows = [_row(each, now) for each in outcomes if each.answer.result is Result.HANDED_OFF]
    InAppMessage.objects.bulk_create(rows, ignore_conflicts=True)


def _row(outcome: Outcome, now: datetime) -> InAppMessage:
    message: InApp = outcome.message
    return InAppMessage(
        delivery=outcome.delivery,
        learner_id=outcome.delivery.learner_id,
        enrollment_id=outcome.delivery.enrollment_id,
        title=message.rendered.subject,
        html=message.rendered.html,
        text=message.rendered.text,
        link_url=message.link_url,
        link_text=message.link_text,
        sent_at=now,
        expires_at=message.expires_at,
    )


def _link(html: str) -> tuple[str, str]:
    """Return address and words of the only link, or empty texts."""
    found = fragment_fromstring(html, create_parent="div").find(".//a")
    if found is None:
        return "", ""
    return found.get("href") or "", one_line(found.text_content())


IN_APP = Channel(
    verb="IN_APP_SENT",
    address=in_app_address,
    compose=compose_in_app,
    show=show_in_app,
    check=check_short,
    preview=preview_short,
    connect=LocalConnection,
    is_local=True,
    routes=in_app_routes,
    record=record_in_app,
)
