"""What an adaptive draw is expected to cost, and what its form and its replays refuse."""

from decimal import Decimal
from typing import Any

import pytest

from experiments.design import Adapting, Design, read_design
from experiments.forms import adapting_faults
from experiments.metrics.definitions import METRICS
from experiments.reporting.check_power import PowerFacts, detectable, power_texts
from experiments.reporting.replays import DrawPlan, Past, draw_once, replay
from experiments.stats.adaptive.forecast import adapting_forecast

HALVES = {"control": 0.5, "nudge": 0.5}
ADAPTING = Adapting(burn_in=40, batch=20)
DESIGN = Design(method="adaptive", adapting=ADAPTING)


def forecast(learners: int) -> Any:
    return adapting_forecast([0.3, 0.6], weights=[0.5, 0.5], adapting=ADAPTING, learners=learners)


def test_more_learners_get_the_better_arm_and_the_difference_is_less_exact() -> None:
    found = forecast(160)

    assert found == forecast(160)
    assert 0.6 < found.share < 0.9
    assert 0.4 < found.precision < 0.9
    assert found.lift == pytest.approx(0.3)
    # Nothing adapts within the burn-in, and halves are equal shares.
    assert forecast(40).precision == pytest.approx(1, abs=0.03)


def test_check_says_the_cost_and_counts_only_what_is_left() -> None:
    values: dict[str, Any] = {
        "metric": METRICS[0], "weights": HALVES, "control": "control", "treated": "nudge",
        "level": 0.95, "baseline": 0.3, "learners": 100, "planned": 160,
    }  # fmt: skip
    plain = PowerFacts(**values)
    adaptive = PowerFacts(**values, forecast=forecast(160), uncompared=("Days active",))

    assert detectable(adaptive).rise > detectable(plain).rise
    text = " ".join(power_texts(adaptive))
    assert "finds the best arm sooner, but measures the difference less exactly" in text
    assert "times as wide as with equal shares" in text
    assert "only shares of learners, so it will not compare “Days active”" in text
    few = " ".join(power_texts(PowerFacts(**values, forecast=forecast(40))))
    assert "the shares of the arms would hardly change" in few


def test_past_is_drawn_by_the_planned_weights_and_not_replayed() -> None:
    keys = tuple(f"u{number}" for number in range(100))
    past = Past(keys, ("",) * 100, ("",) * 100, ((1,),) * 100)
    plan = DrawPlan.of(HALVES, control="control", seed="s", design=DESIGN, coverage=0.5)

    drawn = draw_once(past, plan, seed="s")
    assert 35 < sum(arm is not None for arm in drawn) < 65
    assert 10 < drawn.count("nudge") < 40
    assert "its shares follow outcomes" in replay(past, plan, metric=METRICS[0], lift=0.1).reason


def test_design_reads_back_and_needs_its_settings() -> None:
    values = {"method": "adaptive", "adapting": {"burn_in": 40, "batch": 20, "floor": 0.1}}
    assert read_design(values) == DESIGN
    for wrong in ({"method": "adaptive"}, {"adapting": values["adapting"]}):
        with pytest.raises(ValueError, match="says how the shares change"):
            read_design(wrong)


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({}, set()),
        ({"method": "hash", "burn_in": 1, "looks": "2027-01-01"}, set()),
        ({"burn_in": 19, "share_batch": 3}, {"burn_in", "share_batch"}),
        ({"share_floor": Decimal("0.01")}, {"share_floor"}),
        ({"primary_outcome": "days_active_7d"}, {"primary_outcome"}),
        ({"looks": "2027-01-01", "subgroups": "region"}, {"looks", "subgroups"}),
    ],
)
def test_form_names_the_fields_that_an_adaptive_draw_cannot_have(
    fields: dict[str, Any], faulty: set[str]
) -> None:
    usual = {"method": "adaptive", "burn_in": 60, "share_batch": 40, "share_floor": Decimal("0.1")}

    assert {name for name, _ in adapting_faults(usual | fields)} == faulty
