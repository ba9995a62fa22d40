"""Addresses of the pages of this app."""

from django.urls import URLPattern

app_name = "interventions"
urlpatterns: list[URLPattern] = []
