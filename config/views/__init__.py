"""Pages of the whole site, and a stand-in for the demo's learning platform."""

from config.views.backtest import segment_backtest
from config.views.before_after import before_after
from config.views.course_home import course_home
from config.views.courses import courses, switch_course
from config.views.deliveries import delivery_counts
from config.views.demo import demo_course, demo_item
from config.views.feed import trust
from config.views.forecast import forecast_page
from config.views.funnel_page import cadence_funnel_page
from config.views.go_live import take_live
from config.views.install import install
from config.views.items import items
from config.views.playbook_page import (
    playbook_import,
    playbook_markdown,
    playbook_page,
    playbook_yaml,
)
from config.views.segment_page import segment_page
from config.views.today import today

__all__ = [
    "before_after",
    "cadence_funnel_page",
    "course_home",
    "courses",
    "delivery_counts",
    "demo_course",
    "demo_item",
    "forecast_page",
    "install",
    "items",
    "playbook_import",
    "playbook_markdown",
    "playbook_page",
    "playbook_yaml",
    "segment_backtest",
    "segment_page",
    "switch_course",
    "take_live",
    "today",
    "trust",
]
