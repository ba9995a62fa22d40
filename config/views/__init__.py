"""Pages of the whole site: today, courses, and a stand-in for the demo's learning platform."""

from config.views.course_home import course_home
from config.views.courses import courses, switch_course
from config.views.demo import demo_course, demo_item
from config.views.today import today

__all__ = ["course_home", "courses", "demo_course", "demo_item", "switch_course", "today"]
