"""App configuration."""

from importlib import import_module

from django.apps import AppConfig


class InterventionsConfig(AppConfig):
    name = "interventions"
    verbose_name = "Interventions: messages to learners"

    def ready(self) -> None:
        """Refuse to start with a recommender that cannot be called."""
        import_module("interventions.queries.recommendation").check_recommender()
