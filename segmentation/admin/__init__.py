"""Admin pages of playbooks, segments, members and transitions."""

from segmentation.admin import members, playbooks, segments

__all__ = ["members", "playbooks", "segments"]
