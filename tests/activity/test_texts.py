import pytest

from activity.texts import a_few


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (["A", "B", "C"], "A, B and 1 more"),
        (["A", "B", "C", "D"], "A, B and 2 more"),
    ],
)
def test_a_few_texts_are_joined(texts: list[str], joined: str) -> None:
    assert a_few(texts) == joined
