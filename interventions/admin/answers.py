"""The actions of the ledger page that decide on messages. Each asks for confirmation."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from interventions.models import Delivery
from interventions.operations import InterventionError

CONFIRMED = "confirmed"
# "Select all" can mean a million messages, and Django refuses a form with more than 1,000 fields.
AT_MOST = 500


@dataclass(frozen=True)
class Answer:
    """One action: its name, question, explanation, button, operation and success message."""

    action: str
    question: str
    consequence: str
    button: str
    do: Callable[[int], None]
    done: str


def confirm_or_do(
    page: "ModelAdmin[Delivery]", request: HttpRequest, chosen: QuerySet[Delivery], answer: Answer
) -> TemplateResponse | None:
    """Ask for confirmation. Once confirmed, do the action on the chosen deliveries."""
    ids = list(chosen.order_by("pk").values_list("pk", flat=True)[: AT_MOST + 1])
    if len(ids) > AT_MOST:
        messages.error(
            request, f"Choose at most {AT_MOST:,} messages at a time. Nothing was changed."
        )
        return None
    if CONFIRMED in request.POST:
        _do(request, ids, answer)
        return None
    context = {
        **page.admin_site.each_context(request),
        "title": answer.question,
        "answer": answer,
        "ids": ids,
        "number": len(ids),
        "field": ACTION_CHECKBOX_NAME,
        "opts": page.model._meta,
    }
    return TemplateResponse(request, "admin/confirm_answer.html", context)


def _do(request: HttpRequest, ids: list[int], answer: Answer) -> None:
    refused: Counter[str] = Counter()
    for delivery_id in ids:
        try:
            answer.do(delivery_id)
        except InterventionError as error:
            refused[str(error)] += 1
    done = len(ids) - refused.total()
    if done:
        messages.success(request, f"{_messages(done)} {answer.done}.")
    for sentence, number in refused.items():
        messages.warning(request, f"{_messages(number)} not changed. {sentence}")


def _messages(number: int) -> str:
    return "1 message is" if number == 1 else f"{number:,} messages are"
