"""The same reports from several processes at once: each lands once, and nobody waits for ever."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from activity.models import Event, PendingNo
from interventions.models import Delivery, Receipt, Suppression, TrackingEvent
from interventions.operations import record_reports
from interventions.stages.recover import recover
from interventions.tracking.reports import Report
from tests.factories import NOW
from tests.interventions.factories import make_counted, make_evaluated, make_live_course

LATER = NOW + timedelta(minutes=5)


@pytest.mark.django_db(transaction=True)
def test_reports_that_come_several_times_at_once_land_once() -> None:
    course = make_live_course()
    deliveries = [
        make_counted(make_evaluated(course), NOW, address=f"a{n}@example.org") for n in range(6)
    ]
    reports = [
        Report(provider="postmark", kind=kind, at=NOW, delivery_key=each.key, bounce=bounce)
        for each in deliveries
        for kind, bounce in (("delivered", ""), ("bounced", "hard"), ("opened", ""))
    ]

    def post(turn: int) -> None:
        try:
            record_reports(reports[::-1] if turn % 2 else reports, now=NOW)
            recover(now=LATER)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(post, range(8)))
    recover(now=LATER)

    assert TrackingEvent.objects.filter(retry_at__isnull=True).count() == len(reports)
    assert Event.objects.filter(verb="EMAIL_BOUNCED").count() == len(deliveries)
    assert Event.objects.filter(verb="EMAIL_OPENED").count() == len(deliveries)
    assert Receipt.objects.count() == Suppression.objects.count() == len(deliveries)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"bounced"}
    assert not PendingNo.objects.exists()
