"""Signals of single events: messages, any verb with filters, and sequences. Pure."""

from segmentation.signals.arguments import (
    EQUALS,
    EVENT,
    ITEM,
    KIND,
    PROPERTY,
    TOPIC,
    VERB,
    WITHOUT,
)
from segmentation.signals.needs import Need
from segmentation.signals.shared import Compile, exact_days
from segmentation.signals.sources import Sources
from segmentation.signals.types import Compiled, Signal, SignalKind, SignalRef, Window

LOG = frozenset({Need.LOG})


def _filters(ref: SignalRef, sources: Sources) -> str:
    """Return the SQL condition of the filters that are used."""
    bind = sources.params.bind
    sql = {
        # An act on an item of a module is an act on the module too.
        ITEM: "(i.key = {0} OR h.key = {0})",
        KIND: "i.kind = {0}",
        TOPIC: "i.topic = {0}",
    }
    found = [
        sql[argument].format(bind(text, "text"))
        for argument, text in ref.arguments
        if argument in sql
    ]
    names = ref.argument(PROPERTY)
    if names:
        levels = ", ".join(bind(name, "text") for name in names.split("."))
        found.append(f"v.properties #>> ARRAY[{levels}] = {bind(ref.argument(EQUALS), 'text')}")
    return " AND ".join(found)


def _messages(verb: str) -> Compile:
    """Return the function that compiles a signal: how many events have the verb."""

    def compiled(ref: SignalRef, sources: Sources) -> Compiled:
        return Compiled(f"coalesce({sources.of_log('sum(v.count)', ref.window, verb=verb)}, 0)")

    return compiled


def _count(ref: SignalRef, sources: Sources) -> Compiled:
    where = _filters(ref, sources)
    total = sources.of_log("sum(v.count)", ref.window, verb=ref.argument(VERB), where=where)
    return Compiled(f"coalesce({total}, 0)")


def _sum(ref: SignalRef, sources: Sources) -> Compiled:
    where = _filters(ref, sources)
    total = sources.of_log("sum(v.value)", ref.window, verb=ref.argument(VERB), where=where)
    # Values are decimals. Their sum is rounded once, so it does not depend on the order of events.
    return Compiled(f"coalesce({total}, 0)::float8")


def _since_last(ref: SignalRef, sources: Sources) -> Compiled:
    return exact_days(f"greatest({_instant('max', ref, sources)}, s.began_at)", sources)


def _since_first(ref: SignalRef, sources: Sources) -> Compiled:
    return exact_days(_instant("min", ref, sources), sources)


def _instant(aggregate: str, ref: SignalRef, sources: Sources) -> str:
    where = _filters(ref, sources)
    return sources.of_log(f"{aggregate}(v.occurred_at)", None, verb=ref.argument(VERB), where=where)


def _sequence(ref: SignalRef, sources: Sources) -> Compiled:
    verb, without = ref.argument(VERB), ref.argument(WITHOUT)
    total = sources.of_log("sum(v.count)", ref.window, verb=verb)
    begin = sources.of_log("min(v.occurred_at)", ref.window, verb=verb)
    last = sources.of_log("max(v.occurred_at)", ref.window, verb=without)
    return Compiled(f"CASE WHEN {last} >= {begin} THEN 0 ELSE coalesce({total}, 0) END")


MESSAGES = (
    Signal(
        name="messages_sent",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="emails sent",
        sentence="was sent {amount} {when}",
        unit=("email", "emails"),
        help="Emails of this course that were handed off to the learner in the last N days.",
        needs=LOG,
        sql=_messages("EMAIL_SENT"),
    ),
    Signal(
        name="messages_opened",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="opens of emails",
        sentence="opened emails {amount} {when}",
        unit=("time", "times"),
        help="Opens of emails of this course in the last N days. Opens by machines do not count, "
        "and many learners' programs report none.",
        needs=LOG,
        sql=_messages("EMAIL_OPENED"),
    ),
    Signal(
        name="messages_clicked",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="clicks in emails",
        sentence="clicked in emails {amount} {when}",
        unit=("time", "times"),
        help="Clicks on links in emails of this course in the last N days. Clicks by machines do "
        "not count.",
        needs=LOG,
        sql=_messages("EMAIL_CLICKED"),
    ),
)

EVENTS = (
    Signal(
        name="event_count",
        kind=SignalKind.COUNT,
        window=Window.OPTIONAL,
        label="events",
        sentence="has {amount} {arg} {when}",
        unit=("event", "events"),
        args=EVENT,
        help="Events with a verb in the last N days. Events that stand for several count as many. "
        "The item, its kind or topic, or a property of the event may be given too. The events of "
        "a module are also those of its items.",
        needs=LOG,
        sql=_count,
    ),
    Signal(
        name="event_sum",
        kind=SignalKind.AMOUNT,
        window=Window.OPTIONAL,
        label="sum of the values of events",
        sentence="the values of events {arg} {when} add up to {amount}",
        args=EVENT,
        help="The sum of the values of events with a verb in the last N days, such as what was "
        "paid. 0 without such an event. The same filters can be given as for events.",
        needs=LOG,
        sql=_sum,
    ),
    Signal(
        name="days_since_event",
        kind=SignalKind.DAYS,
        window=Window.NONE,
        label="days since the last event",
        sentence="the last event {arg} was {amount} ago",
        args=EVENT,
        help="Exact 24-hour days since the latest of: the last event with the verb, the "
        "enrollment, the course start. The same filters can be given as for events.",
        needs=LOG,
        sql=_since_last,
    ),
    Signal(
        name="days_since_first_event",
        kind=SignalKind.DAYS,
        window=Window.NONE,
        label="days since the first event",
        sentence="the first event {arg} was {amount} ago",
        args=EVENT,
        help="Exact 24-hour days since the first event with the verb. Unknown without one. The "
        "same filters can be given as for events.",
        unknown="there is no event {arg} yet",
        needs=LOG,
        sql=_since_first,
    ),
    Signal(
        name="sequence",
        kind=SignalKind.COUNT,
        window=Window.REQUIRED,
        label="events in a row",
        sentence="has {amount} {arg} since the first of them, {when}",
        unit=("event", "events"),
        args=(VERB, WITHOUT),
        help="How often the one verb occurred in the last N days, or 0 if the other verb occurred "
        "at or after the first of these events.",
        needs=LOG,
        sql=_sequence,
    ),
)
