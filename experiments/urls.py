"""URLs of the report pages."""

from django.urls import path

from experiments import views

app_name = "experiments"
urlpatterns = [
    path("reports/", views.report_list, name="report-list"),
    path("reports/<slug:key>/", views.report, name="report"),
    path("reports/<slug:key>/answer/", views.report_answer, name="report-answer"),
    path("reports/<slug:key>/kept/<int:position>/", views.report_snapshot, name="report-snapshot"),
    path("reports/<slug:key>/check/", views.check, name="check"),
    path("reports/<slug:key>/check/mark/", views.mark_checked, name="check-mark"),
    path("reports/<slug:key>.csv", views.report_csv, name="report-csv"),
    path("reports/<slug:key>.html", views.report_file, name="report-file"),
    path("reports/<slug:key>.zip", views.report_rows, name="report-rows"),
]
