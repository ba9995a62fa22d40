"""The error with which an operation refuses a request."""


class SegmentationError(Exception):
    """The state of the segment, playbook or course does not allow the operation.

    The message is a sentence for the user.
    """


class EditedMeanwhileError(SegmentationError):
    """Another save changed the segment after the page was opened."""
