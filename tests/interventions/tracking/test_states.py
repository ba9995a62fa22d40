"""The states of a message do not depend on the order in which reports arrive."""

from itertools import permutations

import pytest

from interventions.tracking.states import next_states

CASES = {
    "nothing that moves": (("opened", "clicked", "soft_bounced", "deferred"), "handed_off"),
    "opened before delivered": (("opened", "delivered"), "delivered"),
    "soft bounce, then delivered": (("soft_bounced", "delivered"), "delivered"),
    "delivered, then a late bounce": (("delivered", "hard_bounced"), "bounced"),
    "complained": (("sent", "delivered", "complained"), "complained"),
    "everything": (("delivered", "hard_bounced", "complained", "opened"), "complained"),
    "rejected": (("queued", "rejected"), "bounced"),
}


def after(state: str, kinds: tuple[str, ...]) -> str:
    for kind in kinds:
        for following in next_states(state, {kind}):
            state = following
    return state


@pytest.mark.parametrize("case", CASES)
def test_each_order_ends_in_the_same_state(case: str) -> None:
    kinds, ends = CASES[case]

    assert {after("handed_off", order) for order in permutations(kinds)} == {ends}
    assert [*next_states("handed_off", set(kinds))][-1:] == ([ends] if ends != "handed_off" else [])


@pytest.mark.parametrize("state", ["delivered", "bounced", "complained"])
def test_no_state_goes_back(state: str) -> None:
    for kind in ("queued", "sent", "delivered", "opened", "soft_bounced", "rejected"):
        found = [*next_states(state, {kind})]
        assert found == (["bounced"] if (state, kind) == ("delivered", "rejected") else [])


@pytest.mark.parametrize(
    ("state", "kinds", "expected"),
    [
        ("in_doubt", {"delivered"}, ["handed_off", "delivered"]),
        ("in_doubt", {"clicked"}, ["handed_off"]),
        ("in_doubt", {"rejected"}, ["handed_off", "bounced"]),
        ("in_doubt", set(), []),
        ("planned", {"queued"}, ["handed_off"]),
        ("planned", {"rejected"}, []),
        ("failed", {"opened"}, ["handed_off"]),
        ("failed", {"failed"}, []),
        ("dropped", {"delivered"}, []),
        ("ghost", {"delivered"}, []),
    ],
)
def test_report_is_proof_that_a_message_was_accepted(
    state: str, kinds: set[str], expected: list[str]
) -> None:
    assert [*next_states(state, kinds)] == expected
