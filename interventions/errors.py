"""What an operation refuses, in a sentence for the person who asked. Pure."""


class InterventionError(Exception):
    """A cadence, template, experiment or delivery that cannot be saved, started or moved so."""
