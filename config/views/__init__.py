"""Pages of the whole site: the start page, and a stand-in for the demo's learning platform."""

from config.views.demo import demo_course, demo_item
from config.views.today import today

__all__ = ["demo_course", "demo_item", "today"]
