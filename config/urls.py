"""URLs of the whole site. Each app has its own list."""

from django.contrib import admin
from django.urls import include, path

from config import views

admin.autodiscover()

handler400 = "config.views.too_much.bad_request"

urlpatterns = [
    path("", views.today, name="home"),
    path("admin/", admin.site.urls),
    path("courses/", views.courses, name="courses"),
    path("courses/switch/", views.switch_course, name="switch-course"),
    path("courses/<int:course_id>/", views.course_home, name="course-home"),
    path("courses/<int:course_id>/live/", views.take_live, name="go-live"),
    path("courses/<int:course_id>/feed/trust/", views.trust, name="trust-feed"),
    path("courses/<int:course_id>/items/", views.items, name="course-items"),
    path("courses/<int:course_id>/install/<str:name>/", views.install, name="install"),
    path("segments/<int:segment_id>/", views.segment_page, name="segment"),
    path("segments/<int:segment_id>/before-after/", views.before_after, name="before-after"),
    path(
        "segments/<int:segment_id>/backtest/<int:course_id>/",
        views.segment_backtest,
        name="segment-backtest",
    ),
    path("learners/", include("config.views.learner.urls")),
    path("playbooks/<int:playbook_id>/", views.playbook_page, name="playbook"),
    path("playbooks/<int:playbook_id>.md", views.playbook_markdown, name="playbook-markdown"),
    path("playbooks/<int:playbook_id>.yaml", views.playbook_yaml, name="playbook-yaml"),
    path("playbooks/<int:playbook_id>/import/", views.playbook_import, name="playbook-import"),
    path("cadences/<int:cadence_id>/", views.cadence_funnel_page, name="cadence-funnel"),
    path("deliveries/counts/", views.delivery_counts, name="delivery-counts"),
    path("forecast/", views.forecast_page, name="forecast"),
    path("demo/", views.demo_course, name="demo-course"),
    path("demo/<str:key>/", views.demo_item, name="demo-item"),
    path("", include("activity.urls")),
    path("", include("interventions.urls")),
    path("", include("experiments.urls")),
    path("", include("segmentation.urls")),
]
