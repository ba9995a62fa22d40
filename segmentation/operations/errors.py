"""What an operation refuses, in a sentence for the person who asked."""


class SegmentationError(Exception):
    """The segment, playbook or course is not in a state that allows what was asked."""
