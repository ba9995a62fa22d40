"""Addresses with hostile values are answered with a page or a refusal, never with a 500."""

from urllib.parse import quote, urlencode
from zlib import crc32

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver

from activity.models import Course
from tests.admin.menu import leave_out_menu
from tests.factories import make_course, make_enrollment, make_event, make_item
from tests.long import longer
from tests.segmentation.factories import ACTED_TODAY, make_playbook, make_segment

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

MODELS = list(admin.site._registry)
NAMES = [model._meta.label_lower for model in MODELS]
# A lone surrogate is not valid UTF-8, but a browser can send such bytes.
HALF = b"\xed\xa0\x80"
FEW, OTHERS = "few", "others"
VALUES = (
    "\0",
    "9" * 40,
    "-1",
    "1e400",
    "NaN",
    "'\"<%{{x}}",
    "../../x",
    "x" * 3000,
    "2026-02-30",
    "99999-01-01",
    "0001-01-01",
    "\u0663",
    "[]",
    "_5F_0",
    HALF,
    "",
    "(",
)
LIST_PARAMETERS = {
    "p": ("0", "-1", "9" * 30, "x", "\0", "1.5"),
    "o": ("1.2.3", "-99", "-", "9" * 30, "x.y", "\0", "1.-1..2"),
    "e": ("1", "\0"),
    "q": ("\0", "x" * 5000, '"', "\\", "' OR 1=1", "9" * 40, HALF),
    "all": ("", "\0"),
    "_facets": ("True", "\0"),
    "_popup": ("1", "x"),
    "_to_field": ("id", "password", "nope", "\0"),
    "_changelist_filters": ("\0", "x=y"),
    "pk__in": (",", "9" * 30, "\0"),
    "nope__exact": ("1",),
}
LOOKUPS = (
    "",
    "__exact",
    "__in",
    "__gte",
    "__isnull",
    "__year",
    "__date",
    "__regex",
    "__range",
    "__x",
)


@pytest.fixture
def staff(client):
    client.raise_request_exception = False
    client.force_login(get_user_model().objects.create_superuser("staff"))
    course = make_course()
    make_item(course, "quiz")
    make_event(make_enrollment(course))
    make_segment(make_playbook(course), ACTED_TODAY)
    return client


@pytest.fixture
def staff_without_menu(staff, monkeypatch):
    """Return a client for whom pages have no menu. It is half of the work, and looked at below."""
    leave_out_menu(monkeypatch)
    return staff


def sampled(pairs, *, of, number, part):
    """Return a part of `number` pairs, others for each `of`, so that all are used in total."""
    start, step = crc32(of.encode()), max(1, len(pairs) // number)
    turns = [turn for turn in range(min(number, len(pairs))) if (turn % 4 == 0) == (part == FEW)]
    return [pairs[(start + turn * step) % len(pairs)] for turn in turns]


def in_parts(test):
    """Have the test run with a quarter of its samples, and with the others. These are long."""
    return pytest.mark.parametrize("part", [FEW, *longer(test.__name__, OTHERS)])(test)


def faults(client, addresses):
    """Return the addresses that were answered with 500, with the reason."""
    answers = ((address, client.get(address)) for address in addresses)
    return [(address, repr(one.exc_info[1])) for address, one in answers if one.status_code >= 500]


def query(name, value):
    return urlencode({name: value})


def address_of(model):
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def list_queries(client, model, part):
    """Return queries for the list: its parameters, its own filters, and lookups of its fields."""
    fields = [field.name for field in model._meta.fields]
    shown = client.get(address_of(model)).context.get("cl")
    filters = shown.filter_specs if shown else []
    names = sorted({str(name) for each in filters for name in each.expected_parameters()})
    kinds = [
        [(name, value) for name, values in LIST_PARAMETERS.items() for value in values],
        [(name, value) for name in names for value in VALUES],
        [(f"{name}{lookup}", value) for name in fields for lookup in LOOKUPS for value in VALUES],
    ]
    chosen = [sampled(kind, of=model._meta.label, number=3, part=part) for kind in kinds if kind]
    return [query(*each) for kind in chosen for each in kind]


@in_parts
@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.sampled(3)
def test_list_answers_any_query(staff_without_menu, model, part):
    queries = list_queries(staff_without_menu, model, part)

    assert len(queries) >= 2
    assert faults(staff_without_menu, [f"{address_of(model)}?{each}" for each in queries]) == []


def test_menu_answers_any_query(staff):
    # A list sends who asks for an unknown field elsewhere, before there is a menu.
    queries = [one for value in VALUES for one in (f"x={quote(value)}", f"{quote(value)}=x")]

    assert faults(staff, [f"/admin/?{one}" for one in queries]) == []
    assert "nav-sidebar-apps" in staff.get(f"/admin/?{queries[-1]}").text


@in_parts
def test_page_of_an_object_answers_any_address(staff, part):
    parts = [(value, page) for value in VALUES for page in ("", "change/", "history/", "delete/")]
    addresses = [
        f"{address_of(model)}{quote(value, safe='')}/{page}"
        for model in MODELS
        for value, page in sampled(parts, of=model._meta.label, number=3, part=part)
    ]

    assert faults(staff, addresses) == []


@in_parts
@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.sampled(3)
def test_form_begins_with_any_value(staff_without_menu, model, part):
    pairs = [(field.name, value) for field in model._meta.get_fields() for value in VALUES]
    addresses = [
        f"{address_of(model)}add/?{query(*each)}"
        for each in sampled(pairs, of=model._meta.label, number=3, part=part)
    ]
    addresses += [f"{address_of(model)}add/?_popup=x&_to_field=%00&_changelist_filters=%00"]

    assert faults(staff_without_menu, addresses) == []


def test_form_begins_with_a_valid_value(staff):
    course = Course.objects.get()
    page = staff.get(f"/admin/activity/enrollment/add/?course={course.pk}&learner=x&nope=1")
    initial = page.context["adminform"].form.initial

    assert initial["course"] == course.pk
    assert "learner" not in initial


@in_parts
def test_action_of_a_list_answers_any_choice(staff_without_menu, part):
    found = []
    for model, model_admin in admin.site._registry.items():
        forms = [
            {"action": name, "_selected_action": value}
            for name in model_admin.actions or ()
            for value in VALUES
            if value != HALF
        ]
        forms += [
            {"action": "nope", "_selected_action": "1"},
            {"_save": "", "form-TOTAL_FORMS": "x"},
        ]
        for form in sampled(forms, of=model._meta.label, number=4, part=part):
            answer = staff_without_menu.post(address_of(model), form)
            if answer.status_code >= 500:
                found.append((address_of(model), form, repr(answer.exc_info[1])))

    assert found == []


def patterns(resolver, before=""):
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver) and pattern.namespace != "admin":
            yield from patterns(pattern, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield before + str(pattern.pattern)


def filled(pattern, value):
    head, _, rest = pattern.partition("<")
    return head + quote(value, safe="") + rest.partition(">")[2] if rest else pattern


def all_filled(pattern, part):
    """Return the addresses of the pattern, with hostile values if it has a place for one."""
    values = sampled(VALUES, of=pattern, number=8, part=part)
    return dict.fromkeys(f"/{filled(pattern, value)}" for value in values)


@in_parts
def test_pages_of_our_own_answer_any_address(staff, part):
    own = list(patterns(get_resolver()))
    addresses = [address for pattern in own for address in all_filled(pattern, part)]
    pairs = [(name, value) for name in ("recipient", "before", "course") for value in VALUES]
    addresses += [
        f"/{filled(pattern, '1')}?{query(*each)}"
        for pattern in own
        for each in sampled(pairs, of=pattern, number=4, part=part)
    ]

    assert "mailbox/<int:message_id>/" in own
    assert faults(staff, addresses) == []


def test_shared_pages_of_the_admin_answer_any_address(staff):
    usual = {
        "app_label": "activity",
        "model_name": "enrollment",
        "field_name": "course",
        "term": "x",
        "page": "1",
    }
    addresses = [
        f"/admin/autocomplete/?{urlencode(usual | {name: value})}"
        for name in usual
        for value in VALUES
    ]
    addresses += [f"/admin/r/{quote(one, safe='')}/{quote(one, safe='')}/" for one in VALUES]
    addresses += [f"/admin/{quote(one, safe='')}/" for one in VALUES]
    addresses += [f"/admin/login/?{query('next', value)}" for value in VALUES]
    addresses += [f"/admin/search/?{query('s', value)}" for value in VALUES[:6]]

    assert faults(staff, addresses) == []
