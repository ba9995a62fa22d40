"""The answers of a nudge as they are typed: texts by the names of the form's fields. Pure."""

import re
from collections.abc import Mapping

MOST_MESSAGES = 6
COUNT = "message-TOTAL_FORMS"
OF_MESSAGE = re.compile(r"message-(\d)-(\w+)", re.ASCII)


def first_answers(**answers: str) -> dict[str, str]:
    """Return the answers of a new page: one empty message, at once."""
    return {COUNT: "1", "message-0-delay": "at once", **answers}


def number_of_messages(answers: Mapping[str, str]) -> int:
    """Return the number of messages in the answers, at least one."""
    text = answers.get(COUNT, "")
    return min(max(int(text), 1), MOST_MESSAGES) if re.fullmatch(r"\d{1,3}", text) else 1


def with_another_message(answers: Mapping[str, str]) -> dict[str, str]:
    """Return the answers with one more message, two days later."""
    number = number_of_messages(answers)
    if number >= MOST_MESSAGES:
        return dict(answers)
    return {**answers, COUNT: str(number + 1), f"message-{number}-delay": "2 days later"}


def without_message(answers: Mapping[str, str], place: int) -> dict[str, str]:
    """Return the answers without one message. The last one stays."""
    number = number_of_messages(answers)
    if number == 1 or not 0 <= place < number:
        return dict(answers)
    kept = {COUNT: str(number - 1)}
    for name, text in answers.items():
        found = OF_MESSAGE.fullmatch(name)
        if found is None:
            kept.setdefault(name, text)
        elif int(found[1]) != place:
            moved = int(found[1]) - (int(found[1]) > place)
            kept[f"message-{moved}-{found[2]}"] = text
    return kept
