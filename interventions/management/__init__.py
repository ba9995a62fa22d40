"""Management commands of interventions."""
