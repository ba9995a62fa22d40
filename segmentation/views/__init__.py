"""The pages of rules: the builder with its live count, and the buttons of a segment."""

from segmentation.views.counting import count
from segmentation.views.rules import edit_rule, new_rule

__all__ = ["count", "edit_rule", "new_rule"]
