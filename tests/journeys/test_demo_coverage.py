"""In demos with three seeds the interval covers the true lift, as an interval of 95% should.

How often the interval covers is shown in tests/experiments, without a demo.
Here the path from events to the report is shown to give it the right counts and the right truth.
"""

import pytest
from django.test import override_settings

from config.demo.run import run_demo
from tests.journeys.demo import SEEDS, SHARED, assert_most_intervals_cover, options


# The demo of the third seed is that of test_demo.py.
@pytest.mark.long(
    "tests/journeys/test_demo.py::test_interval_covers_the_true_lift_in_at_least_two_of_three"
)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", [seed for seed in SEEDS if seed != SHARED])
@override_settings(EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend")
def test_interval_covers_the_true_lift_in_at_least_two_of_three(seed, coverage):
    assert_most_intervals_cover(run_demo(options(seed)), coverage)
