"""Pages that need more than one app: staff and their groups, and courses that go live."""

from config.admin import courses, staff

__all__ = ["courses", "staff"]
