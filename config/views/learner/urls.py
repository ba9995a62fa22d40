"""Addresses of the pages of learners."""

from django.urls import path

from config.views import learner as views

urlpatterns = [
    path("<int:learner_id>/", views.learner, name="learner"),
    path("<int:learner_id>/hold/", views.learner_hold, name="learner-hold"),
    path("<int:learner_id>/resume/", views.learner_resume, name="learner-resume"),
    path("older/<int:enrollment_id>/", views.learner_older, name="learner-older"),
    path("next/<int:enrollment_id>/", views.learner_next, name="learner-next"),
    path(
        "segments/<int:enrollment_id>/<int:segment_id>/<slug:change>/",
        views.learner_segment,
        name="learner-segment",
    ),
    path("send/<int:enrollment_id>/", views.learner_send, name="learner-send"),
    path("send/<int:enrollment_id>/<int:cadence_id>/", views.learner_start, name="learner-start"),
    path("stop/<int:run_id>/", views.learner_stop, name="learner-stop"),
]
