"""The Celery app and its beat: one entry a stage, and no stage calls the next."""

from celery import Celery

from config.startup import prepare

prepare()
app = Celery("nudgelab")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
