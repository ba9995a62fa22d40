"""Admin forms that check rules before they are saved."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from activity.access import Viewer, for_user
from activity.models import Course
from common.forms import JSONTextField
from segmentation.models import Override, Playbook, Segment
from segmentation.operations import SegmentationError, check_kept
from segmentation.queries import known_names
from segmentation.rules import RuleError, canonical_rule

if TYPE_CHECKING:
    SegmentModelForm = forms.ModelForm[Segment]
    OverrideModelForm = forms.ModelForm[Override]
    PlaybookModelForm = forms.ModelForm[Playbook]
else:
    SegmentModelForm = OverrideModelForm = PlaybookModelForm = forms.ModelForm

RULE_HELP = (
    "A group of conditions as JSON, for example "
    '{"combinator": "and", "rules": [{"field": "active_days", "window": 7, '
    '"operator": "<", "value": 1}]}'
)


class RuleField(JSONTextField):
    """A rule that a person typed."""

    def clean(self, value: Any) -> Any:
        """Return the rule as it is stored, None for none. Raise ValidationError with the path."""
        data = super().clean(value)
        try:
            return None if data is None else canonical_rule(data, known_names())
        except RuleError as error:
            raise ValidationError(str(error)) from None


class SegmentForm(SegmentModelForm):
    """The form of a segment. It checks the rules before they are saved."""

    class Meta:
        model = Segment
        field_classes = {"rule": RuleField, "leave_rule": RuleField}
        fields = (
            "name",
            "key",
            "description",
            "playbook",
            "priority",
            "rule",
            "leave_rule",
            "include_present",
        )
        help_texts = {"rule": RULE_HELP}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The tick applies to one edit only. If it stayed, the next edit would start messages for
        # every learner that it brings in.
        self.initial["include_present"] = False


class PlaybookForm(PlaybookModelForm):
    """The form of a playbook and the courses for which it is kept."""

    # Set by the page: only the courses of the user are offered.
    viewer: ClassVar[Viewer]
    kept_for: Any = forms.ModelMultipleChoiceField(
        queryset=None,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = Playbook
        fields = ("name", "key", "mode")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = for_user(Course.objects.all(), self.viewer)
        self.fields["kept_for"].queryset = offered  # type: ignore[attr-defined]
        if self.instance.pk:
            self.fields["kept_for"].initial = self.instance.courses.all()


class OverrideForm(OverrideModelForm):
    """The form for adding a learner to a segment or removing one manually."""

    class Meta:
        model = Override
        fields = ("segment", "enrollment", "kind")

    def clean(self) -> dict[str, Any]:
        """Refuse a segment that is not kept for the learner's course."""
        data = super().clean() or {}
        if "segment" in data and "enrollment" in data:
            try:
                check_kept(data["segment"].pk, data["enrollment"].pk)
            except SegmentationError as error:
                raise ValidationError(str(error)) from None
        return data
