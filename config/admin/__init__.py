"""Admin pages that need more than one app: users and groups, and courses."""

from config.admin import courses, staff

__all__ = ["courses", "staff"]
