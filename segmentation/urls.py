"""Addresses of the pages of this app."""

from django.urls import path

from segmentation import views

app_name = "segmentation"
urlpatterns = [
    path("segments/new/", views.new_rule, name="new-rule"),
    path("segments/count/", views.count, name="count"),
    path("segments/<int:pk>/rule/", views.edit_rule, name="rule"),
]
