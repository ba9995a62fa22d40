"""Enrolling a whole class at once gives the same rows as enrolling one by one."""

import pytest
from django.db import IntegrityError

from activity.models import Due, Enrollment, Learner
from activity.operations import RosterError, save_enrollment, save_learner
from activity.operations.new_enrollments import enroll_new_learners
from tests.factories import NOW, make_course

pytestmark = pytest.mark.django_db

LEARNERS = [
    {"external_id": "a", "name": "Ana", "email": "ana@example.org", "time_zone": "Europe/London"},
    {"external_id": "b", "name": "Bo", "email": None},
]


def enrollments(course):
    shared = {"course": course.key, "section": "s", "enrolled_at": NOW.isoformat()}
    return [shared | {"learner": "a"}, shared | {"learner": "b"}]


def make_class():
    course = make_course()
    course.sections.create(key="s")
    return course


def stored():
    names = ("learner__external_id", "learner__email", "learner__name", "section__key")
    return list(Enrollment.objects.order_by("learner").values(*names, "enrolled_at", "due__due_at"))


def test_class_enrolled_at_once_equals_one_by_one(django_assert_max_num_queries):
    course = make_class()
    with django_assert_max_num_queries(7):
        enroll_new_learners(course, LEARNERS, enrollments(course), now=NOW)
    at_once = stored()
    Enrollment.objects.all().delete()
    Learner.objects.all().delete()
    for learner, enrollment in zip(LEARNERS, enrollments(course), strict=True):
        save_learner(learner, now=NOW)
        save_enrollment(enrollment, now=NOW)
    assert at_once == stored()
    assert len(at_once) == 2


def test_known_learner_is_refused_and_nobody_is_enrolled():
    course = make_class()
    save_learner(LEARNERS[1], now=NOW)
    with pytest.raises(IntegrityError):
        enroll_new_learners(course, LEARNERS, enrollments(course), now=NOW)


def test_faulty_value_is_refused_and_nobody_is_enrolled():
    course = make_class()
    faulty = [LEARNERS[0], LEARNERS[1] | {"time_zone": "Nowhere"}]
    with pytest.raises(RosterError):
        enroll_new_learners(course, faulty, enrollments(course), now=NOW)
    assert not Learner.objects.exists()
    assert not Due.objects.exists()
