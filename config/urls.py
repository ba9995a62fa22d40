"""Addresses of the whole site; each app keeps its own list."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("", include("interventions.urls")),
    path("", include("experiments.urls")),
]
