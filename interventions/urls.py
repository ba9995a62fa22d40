"""URLs of the learner pages and the staff mailbox."""

from django.urls import path

from interventions import views

app_name = "interventions"
urlpatterns = [
    path("mailbox/", views.mailbox, name="mailbox"),
    path("mailbox/<int:message_id>/", views.mailbox_message, name="mailbox_message"),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("preferences/<str:token>/", views.preferences, name="preferences"),
]
