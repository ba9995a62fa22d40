"""Our own pages show and change nothing of a course that the user may not see."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from activity.access import for_user
from activity.models import SHARED, Course, CourseScoped, Enrollment, Learner
from experiments.models import Experiment
from interventions.models import Cadence, Delivery, InstructorTask, MessageTemplate, Nudge, Run
from segmentation.models import Override, Playbook, Segment
from tests.admin import test_access
from tests.admin.test_access import FOREIGN, shown
from tests.examples import some
from tests.factories import NOW
from tests.interventions.factories import make_cadence, make_delivery, make_evaluated

pytestmark = pytest.mark.django_db
own, staff = test_access.own, test_access.staff
staff_without_menu = test_access.staff_without_menu

# The models whose rows the addresses name, and for an argument other than the id its field.
ROWS: dict[str, tuple[type[Model], str]] = {
    "course_id": (Course, "pk"),
    "segment_id": (Segment, "pk"),
    "pk": (Segment, "pk"),
    "playbook_id": (Playbook, "pk"),
    "learner_id": (Learner, "pk"),
    "enrollment_id": (Enrollment, "pk"),
    "cadence_id": (Cadence, "pk"),
    "run_id": (Run, "pk"),
    "task_id": (InstructorTask, "pk"),
    "delivery_id": (Delivery, "pk"),
    "template_id": (MessageTemplate, "pk"),
}
OTHERS: dict[str, Any] = {
    "change": "add",
    "name": "five-segments",
    "number": 0,
    "position": 1,
    "version": 1,
}
# Pages for learners, for monitors and for logins, and the mailbox, which names no course.
NOT_HERE = (
    "unsubscribe",
    "preferences",
    "demo-",
    "mailbox",
    "health",
    "metrics",
    "log",
    "admin",
    "in_app",
    "click",
    "provider_webhook",
)


def patterns(resolver: Any = None, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the arguments of the address of each page of staff."""
    for each in (resolver or get_resolver()).url_patterns:
        if isinstance(each, URLResolver) and each.namespace != "admin":
            inner = f"{each.namespace}:" if each.namespace else ""
            yield from patterns(each, prefix + inner)
        elif isinstance(each, URLPattern) and each.name and not each.name.startswith(NOT_HERE):
            yield f"{prefix}{each.name}", list(each.pattern.converters)


def addresses(*, mine: bool) -> Iterator[str]:
    """Yield the address of each page about rows of the own course or of the other course."""
    for name, arguments in patterns():
        if mine or any(map(_is_of_a_course, arguments)):
            values = {each: _value(name, each, mine=mine) for each in arguments}
            yield reverse(name, kwargs=values)


def _is_of_a_course(argument: str) -> bool:
    model, _ = ROWS.get(argument, (None, ""))
    return argument == "key" or (model is not None and model.course_scope != SHARED)


def _value(name: str, argument: str, *, mine: bool) -> Any:
    if argument in OTHERS:
        return OTHERS[argument]
    model, field = ROWS.get(argument, (Experiment, "key"))
    if argument == "key" and name.startswith("interventions:"):
        model = Nudge
    seen = for_user(model._default_manager.all(), get_user_model()())
    rows = seen if mine else model._default_manager.exclude(pk__in=seen.values("pk"))
    return getattr(rows.order_by("pk").first(), field)


@pytest.fixture
def shared(own: Course) -> Enrollment:
    """Return an enrollment in the other course of a learner of the own course."""
    learner = Learner.objects.get(name="Ant Learner")
    other = Course.objects.exclude(pk=own.pk).get()
    enrollment = make_evaluated(other, learner)
    cadence = Cadence.objects.get(name=f"{FOREIGN} cadence")
    template = cadence.steps.get().template
    template.name = f"{FOREIGN} template"
    template.save()
    make_delivery(enrollment, cadence, send_at=NOW + timedelta(hours=1))
    return enrollment


def test_every_page_of_staff_is_looked_at() -> None:
    found = list(patterns())

    assert len(found) > 30
    known = {*ROWS, *OTHERS, "key"}
    assert {each for _, arguments in found for each in arguments} <= known


@pytest.mark.slow
def test_page_of_the_other_course_is_not_found(shared: Enrollment, staff: Client) -> None:
    Nudge.objects.update(version=3, tab="somebody")
    nudge = Nudge.objects.get(name=f"{FOREIGN} nudge")
    for address in addresses(mine=False):
        for answer in (staff.get(address), staff.post(address)):
            # What is typed on the page of another one's nudge is kept as a nudge of its own.
            is_kept = answer.status_code == 302 and str(nudge.key) not in answer.url
            assert is_kept or answer.status_code in (404, 405), address
            assert FOREIGN not in answer.text, address
    assert Nudge.objects.get(pk=nudge.pk).version == 3


@pytest.mark.slow
def test_own_page_names_nothing_of_the_other_course(
    shared: Enrollment, staff_without_menu: Client
) -> None:
    staff = staff_without_menu
    make_cadence(trigger="manual", segment=Segment.objects.get(name=f"{FOREIGN} segment"))
    for address in some(addresses(mine=True), one_in=2):
        answer = staff.get(address)
        # The file of an experiment that has not started is refused with a sentence.
        assert answer.status_code in (200, 302, 405, 409), address
        if answer.status_code == 200:
            assert FOREIGN not in shown(staff, address), address


@pytest.mark.slow
def test_no_field_and_no_query_names_the_other_course(shared: Enrollment, staff: Client) -> None:
    course = Course.objects.exclude(pk__in=for_user(Course.objects.all(), get_user_model()()))
    segment = Segment.objects.get(name=f"{FOREIGN} segment")
    own_segment = Segment.objects.get(name="Ant segment")
    ids = {"course": course.get().pk, "segment": segment.pk, "enrollment": shared.pk}
    ids |= {"playbook": segment.playbook_id, "preview_as": shared.pk}
    for address in addresses(mine=True):
        answer = staff.get(address, ids)
        assert answer.status_code != 500, address
        if "csv" not in address:
            assert FOREIGN not in b"".join(answer).decode(errors="replace"), address
    nudge = Nudge.objects.get(name="Ant nudge")
    typed = ids | {"version": nudge.version, "do": "save", "name": "Mine"}
    typed["segment"] = own_segment.pk
    staff.post(reverse("interventions:nudge", args=(nudge.key,)), typed)
    for number in (0, 1):
        preview = reverse("interventions:nudge_preview", args=(nudge.key, number))
        assert FOREIGN not in staff.get(preview).text
    counted = staff.post(reverse("segmentation:count"), ids | {"rule": ""})
    assert counted.status_code == 404


@pytest.mark.slow
def test_nothing_of_the_other_course_is_changed(shared: Enrollment, staff: Client) -> None:
    segment = Segment.objects.get(name=f"{FOREIGN} segment")
    mine = Enrollment.objects.get(course__key="Ant-course")
    before = (Override.objects.count(), Run.objects.count(), Delivery.objects.count())

    for pair in ((mine.pk, segment.pk), (shared.pk, segment.pk)):
        for change in ("add", "remove", "clear"):
            address = reverse("learner-segment", args=(*pair, change))
            assert staff.post(address).status_code == 404
    cadence = make_cadence(trigger="manual", segment=segment)
    assert staff.post(reverse("learner-start", args=(mine.pk, cadence.pk))).status_code == 404

    assert (Override.objects.count(), Run.objects.count(), Delivery.objects.count()) == before


HOSTILE = {
    "before": "0001-01-01", "course": "9" * 30, "segment": "9" * 30, "enrollment": "x\0",
    "done": "x:y", "page": "-1", "q": "\0'&|:*!", "preview_as": "x", "counted": "\0",
}  # fmt: skip


@pytest.mark.slow
def test_no_address_fails_a_page(own: Course, staff_without_menu: Client) -> None:
    staff = staff_without_menu
    # There, the first day of the calendar begins before its first instant.
    Course.objects.update(time_zone="Asia/Tokyo")
    # One of them deletes a nudge.
    for address in some(addresses(mine=True), one_in=2):
        assert staff.get(address, HOSTILE).status_code < 500, address
        assert staff.post(address, HOSTILE).status_code < 500, address
    for name, arguments in patterns():
        values = {each: OTHERS.get(each, 10**30) for each in arguments if each != "key"}
        if len(values) == len(arguments):
            assert staff.get(reverse(name, kwargs=values), HOSTILE).status_code < 500, name


def log_in(client: Client, *, may_view: bool) -> None:
    user = get_user_model().objects.create_user("bo", is_staff=True)
    if may_view:
        user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)


def stored() -> dict[str, list[Any]]:
    """Return the rows of all our tables."""
    models = [each for each in apps.get_models() if issubclass(each, CourseScoped)]
    return {
        each._meta.label: list(each._base_manager.order_by("pk").values_list()) for each in models
    }


@pytest.mark.slow
def test_staff_who_may_only_view_change_nothing(own: Course, client: Client) -> None:
    log_in(client, may_view=True)
    before, found = stored(), dict[str, int]()

    for name, arguments in patterns():
        values = {each: _value(name, each, mine=True) for each in arguments}
        found[name] = client.post(reverse(name, kwargs=values)).status_code

    # They count a rule and choose a course. Without a button, the page of a rule is only shown.
    assert {name for name, status in found.items() if status < 400} == {
        "segmentation:count",
        "segmentation:rule",
        "switch-course",
    }
    assert stored() == before


@pytest.mark.slow
def test_pages_are_closed_to_staff_without_rights_and_to_strangers(
    own: Course, client: Client
) -> None:
    every = [(name, address) for name, address in zip(names(), addresses(mine=True), strict=True)]
    for name, address in every:
        for answer in (client.get(address), client.post(address)):
            assert answer.status_code in (302, 405), name
            assert answer.status_code == 405 or "/login/" in answer.url, name

    log_in(client, may_view=False)
    opened = {name for name, address in every if client.get(address).status_code < 400}

    assert opened == {"home"}


def names() -> list[str]:
    return [name for name, _ in patterns()]
