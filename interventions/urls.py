"""URLs of the learner pages, the staff mailbox and the nudges."""

from django.urls import path

from interventions import views

app_name = "interventions"
urlpatterns = [
    path("deliverability/", views.deliverability_page, name="deliverability"),
    path("mailbox/", views.mailbox, name="mailbox"),
    path("mailbox/<int:message_id>/", views.mailbox_message, name="mailbox_message"),
    path("courses/<int:course_id>/next/", views.content_mapping, name="content_mapping"),
    path("messages/<int:delivery_id>/", views.sent_message, name="sent_message"),
    path("nudges/new/", views.new_nudge, name="new_nudge"),
    path("nudges/test-link/", views.trial_link, name="trial_link"),
    path("nudges/<uuid:key>/", views.nudge, name="nudge"),
    path("nudges/<uuid:key>/summary/", views.nudge_summary, name="nudge_summary"),
    path("nudges/<uuid:key>/start/", views.start_nudge, name="start_nudge"),
    path("nudges/<uuid:key>/delete/", views.delete_nudge, name="delete_nudge"),
    path("nudges/<uuid:key>/preview/<int:number>/", views.nudge_preview, name="nudge_preview"),
    path("in-app/messages/", views.in_app_messages, name="in_app_messages"),
    path("in-app/messages/<uuid:key>/seen/", views.in_app_seen, name="in_app_seen"),
    path("in-app/messages/<uuid:key>/dismissed/", views.in_app_dismissed, name="in_app_dismissed"),
    path("segments/try/", views.try_rule, name="try_rule"),
    path("tasks/", views.tasks, name="tasks"),
    path("tasks/<int:task_id>/take/", views.task_take, name="task_take"),
    path("tasks/<int:task_id>/talk/", views.task_talk, name="task_talk"),
    path("tasks/<int:task_id>/done/", views.task_done, name="task_done"),
    path("c/<str:token>/", views.click, name="click"),
    path("webhooks/email/<str:provider>/", views.provider_webhook, name="provider_webhook"),
    path("templates/<int:template_id>/", views.template, name="template"),
    path("templates/<int:template_id>/test/", views.template_test, name="template_test"),
    path(
        "templates/<int:template_id>/restore/<int:version>/",
        views.template_restore,
        name="template_restore",
    ),
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("preferences/<str:token>/", views.preferences, name="preferences"),
]
