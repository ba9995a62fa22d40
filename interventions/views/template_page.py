"""The page of a template: how a learner would see it, a test mail, and its versions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, ParamSpec

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from activity.models import Enrollment, Learner
from common.clock import utc_now
from common.stored_text import without_nul
from interventions import operations
from interventions.models import MessageTemplate, TemplateText
from interventions.queries import templates as queries
from interventions.queries.trials import Trial
from interventions.render.liquid import TemplateError
from interventions.trials import TrialError, send_trials
from interventions.views.row_ids import row_id
from interventions.views.shown_mail import ShownMail, shown_mail

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

NO_ADDRESS = "Your account has no address. Ask an administrator to enter one."
_SEE, _CHANGE = "interventions.view_messagetemplate", "interventions.change_messagetemplate"


def template_page(right: str) -> Callable[[View[P]], View[P]]:
    """Return a decorator that allows only staff with the right."""

    def decorate(view: View[P]) -> View[P]:
        return staff_member_required(permission_required(right, raise_exception=True)(view))

    return decorate


@dataclass(frozen=True)
class Asked:
    """What a request asks to see of a template: a language, and a learner or example values."""

    request: HttpRequest
    template: MessageTemplate

    def _value(self, name: str) -> str:
        return without_nul(self.request.GET.get(name) or self.request.POST.get(name) or "").strip()

    @cached_property
    def texts(self) -> dict[str, TemplateText]:
        """Return the present texts by locale."""
        return queries.current_texts(self.template)

    @property
    def languages(self) -> dict[str, str]:
        """Return the names of the languages by locale."""
        return {locale: queries.language_name(locale) for locale in self.texts}

    @cached_property
    def text(self) -> TemplateText:
        """Return the asked text, or else the first."""
        return self.texts.get(self._value("locale")) or next(iter(self.texts.values()))

    @property
    def sees_learners(self) -> bool:
        """Return whether the user may see the data of learners."""
        return bool(self.request.user.has_perm("activity.view_learner"))

    @property
    def typed_id(self) -> str:
        """Return the learner's id as it was typed."""
        return self._value("learner")

    @cached_property
    def cadence(self) -> Any:
        """Return the cadence whose reason and segment are used."""
        return queries.cadence_with(self.template, viewer=self.request.user)

    @cached_property
    def offered(self) -> list[Enrollment]:
        """Return the learners to choose from: none without the right to see learners."""
        viewer = self.request.user
        if not self.sees_learners:
            return []
        if self.typed_id:
            return queries.enrollments_of_id(self.typed_id, viewer=viewer)
        return queries.learners_to_preview(self.cadence, viewer=viewer)

    @property
    def member(self) -> Enrollment | None:
        """Return the chosen enrollment, the first for a typed learner, or None for an example."""
        chosen = row_id(self._value("as"))
        found = next((each for each in self.offered if each.pk == chosen), None)
        return found or (self.offered[0] if self.typed_id and self.offered else None)

    @cached_property
    def trial(self) -> Trial:
        """Return the message that nobody gets."""
        return Trial(self.cadence, self.member, "", utc_now())

    def address(self) -> str:
        """Return the address of the page that shows the same."""
        values = {"locale": self.text.locale, "learner": self.typed_id}
        values |= {"as": str(self.member.pk)} if self.member else {}
        page = reverse("interventions:template", args=(self.template.pk,))
        return f"{page}?{urlencode({name: value for name, value in values.items() if value})}"


@never_cache
@require_safe
# The frame of the preview inherits the policy of its page, and mails have inline styles.
@csp_update({"style-src": [UNSAFE_INLINE]})  # type: ignore[arg-type]
@template_page(_SEE)
def template(request: HttpRequest, template_id: int) -> HttpResponse:
    """Show the message as a learner would get it, and what each version changed."""
    asked = _asked(request, template_id)
    shown, problem = _shown(asked)
    context = {
        "asked": asked,
        "template": asked.template,
        "subject": shown[0] if shown else "",
        "mail": shown[1] if shown else None,
        "problem": problem,
        "versions": queries.versions_of(asked.template),
        "may_change": request.user.has_perm(_CHANGE),
    }
    return render(request, "interventions/template.html", context)


@never_cache
@require_POST
@template_page(_CHANGE)
def template_test(request: HttpRequest, template_id: int) -> HttpResponse:
    """Send the message to the user's own address, and return to the page."""
    asked = _asked(request, template_id)
    user: Any = request.user
    if not user.email:
        messages.error(request, NO_ADDRESS)
        return redirect(asked.address())
    to, text = Learner(name=user.get_full_name(), email=user.email), asked.text
    try:
        draft = asked.trial.draft(subject=text.subject, body=text.body, to=to, locale=text.locale)
        send_trials([draft])
        messages.success(request, f"A test mail is on its way to {user.email}.")
    except TrialError as error:
        messages.error(request, str(error))
    return redirect(asked.address())


@never_cache
@require_POST
@template_page(_CHANGE)
def template_restore(request: HttpRequest, template_id: int, version: int) -> HttpResponse:
    """Make the texts of an earlier version the present ones, as a new version."""
    asked = _asked(request, template_id)
    try:
        restored = operations.restore_version(asked.template.pk, version)
        messages.success(
            request,
            f"The texts of version {version} are in use again, as version {restored.version}.",
        )
    except (TemplateError, operations.InterventionError) as error:
        messages.error(request, f"Version {version} was not restored. {error}")
    return redirect("interventions:template", asked.template.pk)


def _asked(request: HttpRequest, template_id: int) -> Asked:
    found = queries.template_of(template_id, viewer=request.user)
    if found is None:
        raise Http404
    asked = Asked(request, found)
    if not asked.texts:
        raise Http404
    return asked


def _shown(asked: Asked) -> tuple[tuple[str, ShownMail] | None, str]:
    text = asked.text
    try:
        rendered = asked.trial.rendered(subject=text.subject, body=text.body, locale=text.locale)
    except TemplateError as error:
        return None, str(error)
    mail = shown_mail(asked.request, html=rendered.html, text=rendered.text)
    return (rendered.subject, mail), ""
