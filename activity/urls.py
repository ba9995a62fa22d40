"""Addresses of the pages of this app."""

from django.urls import path

from activity import views

app_name = "activity"
urlpatterns = [
    path("learners/", views.find, name="find"),
    path("learners/import/", views.import_learners, name="import"),
    path("learners/import/progress/", views.import_progress, name="import-progress"),
]
