"""What the page of a template shows: its versions, and learners for whom it can be previewed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.db.models import Exists, OuterRef
from django.utils.translation import get_language_info

from activity.access import Viewer, for_user
from activity.models import Enrollment
from interventions.models import Cadence, MessageTemplate, Step, TemplateText
from interventions.queries.texts import DEFAULT_LOCALE
from interventions.render.differences import Piece, differences
from segmentation.models import Membership

MOST_VERSIONS = 20
MOST_LEARNERS = 20


@dataclass(frozen=True)
class Change:
    """What one version changed in the text of one language."""

    locale: str
    subject: list[Piece]
    body: list[Piece]

    @property
    def language(self) -> str:
        """Return the name of the language."""
        return language_name(self.locale)


@dataclass(frozen=True)
class Version:
    """One version of a template, and what it changed against the one before."""

    number: int
    changes: list[Change]
    is_current: bool


def language_name(locale: str) -> str:
    """Return the English name of the language, or the locale if Django does not know it."""
    try:
        return str(get_language_info(locale.lower())["name"])
    except KeyError:
        return locale


def template_of(template_id: int, *, viewer: Viewer) -> MessageTemplate | None:
    """Return the template with its category. One query."""
    rows = MessageTemplate.objects.filter(pk=template_id).select_related("category")
    return for_user(rows, viewer).first()


def versions_of(template: MessageTemplate) -> list[Version]:
    """Return the newest versions, the newest first. One query."""
    oldest = template.version - MOST_VERSIONS
    rows = TemplateText.objects.filter(template=template, version__gte=oldest)
    texts: dict[int, dict[str, TemplateText]] = {}
    for row in rows.order_by("version", "locale"):
        texts.setdefault(row.version, {})[row.locale] = row
    known = list(texts.items())
    if not oldest > 0:
        # The first version is shown too, as one that made everything.
        known.insert(0, (0, {}))
    return [
        Version(number, _changes(before, after), number == template.version)
        for (_, before), (number, after) in reversed([*pairwise(known)])
    ]


def current_texts(template: MessageTemplate) -> dict[str, TemplateText]:
    """Return the texts of the present version by locale, English first. One query."""
    rows = TemplateText.objects.filter(template=template, version=template.version)
    found = {row.locale: row for row in rows}
    return dict(sorted(found.items(), key=lambda pair: (pair[0] != DEFAULT_LOCALE, pair[0])))


def cadence_with(template: MessageTemplate, *, viewer: Viewer) -> Cadence:
    """Return a cadence that sends the template, or an unsaved one. One query."""
    steps = Step.objects.filter(cadence=OuterRef("pk"), template=template)
    rows = Cadence.objects.filter(Exists(steps)).select_related("category", "segment")
    found = for_user(rows.order_by("status", "pk"), viewer).first()
    return found or Cadence(category=template.category)


def learners_to_preview(cadence: Cadence, *, viewer: Viewer) -> list[Enrollment]:
    """Return learners with whose data the template can be shown, members first. One query."""
    rows = for_user(Enrollment.objects.select_related("learner", "course"), viewer)
    if cadence.segment_id is not None:
        # Only the first of a large segment, but of those whom the viewer may see.
        found = Membership.objects.filter(segment=cadence.segment_id, left_at=None)
        members = for_user(found, viewer).order_by("enrollment")
        ids = members.values("enrollment")[:MOST_LEARNERS]
        rows = rows.filter(pk__in=ids)
    return list(rows.order_by("pk")[:MOST_LEARNERS])


def enrollments_of_id(external_id: str, *, viewer: Viewer) -> list[Enrollment]:
    """Return the enrollments of the learner with the id in the feed, the newest first."""
    rows = Enrollment.objects.select_related("learner", "course")
    found = for_user(rows.filter(learner__external_id=external_id), viewer)
    return list(found.order_by("-pk")[:MOST_LEARNERS])


def _changes(before: dict[str, TemplateText], after: dict[str, TemplateText]) -> list[Change]:
    return [
        Change(locale, differences(*subjects), differences(*bodies))
        for locale in sorted({*before, *after})
        for subjects, bodies in [_both(before.get(locale), after.get(locale))]
        if subjects[0] != subjects[1] or bodies[0] != bodies[1]
    ]


def _both(
    before: TemplateText | None, after: TemplateText | None
) -> tuple[tuple[str, str], tuple[str, str]]:
    texts: Sequence[tuple[str, str]] = [
        (each.subject, each.body) if each else ("", "") for each in (before, after)
    ]
    (first_subject, first_body), (second_subject, second_body) = texts
    return (first_subject, second_subject), (first_body, second_body)
