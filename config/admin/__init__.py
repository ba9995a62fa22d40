"""Admin pages that need more than one app: users and groups, and courses."""

from config.admin import courses, pages, staff

__all__ = ["courses", "pages", "staff"]
