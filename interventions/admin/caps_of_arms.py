"""The caps of an experiment's arms, as its page names them after the stop."""

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from experiments.models import Experiment
from interventions.queries.limits import caps_of_arms


def caps_that_hold(experiment: Experiment) -> SafeString:
    """Return the caps that still limit the learners drawn, and how to end them, or nothing."""
    sentences = [(cap.sentence,) for cap in caps_of_arms(experiment)]
    if not sentences:
        return SafeString("")
    return format_html(
        "{}<p>They limit the learners drawn until you make them inactive under "
        '<a href="{}">Frequency caps</a>.</p>',
        format_html_join("", "<p>{}.</p>", sentences),
        reverse("admin:interventions_frequencycap_changelist"),
    )
