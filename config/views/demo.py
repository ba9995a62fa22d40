"""Pages that replace a learning platform, as targets of the links in the demo's messages."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from activity.models import Course, Item
from common.stored_text import without_nul
from config.demo.scenario import COURSE_KEY


@require_safe
def demo_course(request: HttpRequest) -> HttpResponse:
    """Show the demo course with its modules. The page holds no personal data."""
    course = get_object_or_404(Course, key=COURSE_KEY)
    modules = course.items.filter(kind="module").order_by("position", "id")
    return render(request, "config/demo_course.html", {"course": course, "modules": modules})


@require_safe
def demo_item(request: HttpRequest, key: str) -> HttpResponse:
    """Show one module or item of the demo course."""
    items = Item.objects.select_related("course", "parent").filter(course__key=COURSE_KEY)
    item = get_object_or_404(items, key=without_nul(key))
    children = item.children.order_by("position", "id")
    return render(request, "config/demo_item.html", {"item": item, "children": children})
