"""Forms of webhook endpoints and course sites."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from interventions.models import CourseSite, WebhookEndpoint
from interventions.operations import InterventionError, check_webhook_url, checked_origins

if TYPE_CHECKING:
    EndpointModelForm = forms.ModelForm[WebhookEndpoint]
    SiteModelForm = forms.ModelForm[CourseSite]
else:
    EndpointModelForm = SiteModelForm = forms.ModelForm


class WebhookEndpointForm(EndpointModelForm):
    """An endpoint, whose address must be one to which a webhook may go."""

    class Meta:
        model = WebhookEndpoint
        fields = ("course", "url", "active")

    def clean_url(self) -> str:
        """Return the address without spaces around it, or say what is wrong with it."""
        url: str = self.cleaned_data["url"].strip()
        try:
            check_webhook_url(url)
        except InterventionError as error:
            raise ValidationError(str(error)) from None
        return url


class CourseSiteForm(SiteModelForm):
    """A course site, with its addresses one a line."""

    origins = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="The addresses of the pages that show the messages, one a line, such as "
        "https://courses.example.org. Without one, only a server can fetch messages.",
    )

    class Meta:
        model = CourseSite
        fields = ("name", "course", "origins", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["origins"] = "\n".join(self.instance.origins)

    def clean_origins(self) -> list[str]:
        """Return the origins as browsers send them, or say which one is none."""
        try:
            return checked_origins(self.cleaned_data["origins"].splitlines())
        except InterventionError as error:
            raise ValidationError(str(error)) from None
