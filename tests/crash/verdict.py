"""What became of a round's messages: the ledger against the mail server, which is the witness."""

from collections import Counter
from dataclasses import dataclass, fields
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

from activity.models import Event
from interventions.models import Delivery, Run
from tests.crash.world import Round
from tests.faulty_smtp import FaultySmtp

ENDS = ("handed_off", "in_doubt", "dropped", "expired", "failed", "ghost")
UNSENT = ("dropped", "expired", "failed", "ghost")


@dataclass
class Verdict:
    """Numbers of one round or of several. The last five must be 0."""

    kills: int = 0
    messages: int = 0
    handed_off: int = 0
    in_doubt: int = 0
    # Of those in doubt, the ones that the mail server had taken.
    in_doubt_taken: int = 0
    # Not sent, with a reason: dropped, expired, failed; and ghosts, which are never sent.
    not_sent: int = 0
    duplicates: int = 0
    lost: int = 0
    over_cap: int = 0
    after_no: int = 0
    # The ledger or the event log says something else than the mail server.
    contradictions: int = 0

    @property
    def faults(self) -> int:
        """Return the number of broken promises."""
        return (
            self.duplicates + self.lost + self.over_cap + self.after_no + self.contradictions
        )  # fmt: skip

    def __add__(self, other: "Verdict") -> "Verdict":
        names = [each.name for each in fields(self)]
        return Verdict(*(getattr(self, name) + getattr(other, name) for name in names))


def judge(round_: Round, sink: FaultySmtp, *, kills: int) -> Verdict:
    """Return what became of the round. All its messages must have their end."""
    rows = list(round_.deliveries)
    taken = Counter(str(mail["Message-ID"]) for _, mail in sink.accepted)
    states = Counter(row.state for row in rows)
    return Verdict(
        kills=kills,
        messages=len(rows),
        handed_off=states["handed_off"],
        in_doubt=states["in_doubt"],
        in_doubt_taken=sum(taken[r.message_id] > 0 for r in rows if r.state == "in_doubt"),
        not_sent=sum(states[state] for state in UNSENT),
        duplicates=sum(number - 1 for number in taken.values()),
        lost=_lost(round_, rows),
        over_cap=_over_cap(sink),
        after_no=_after_no(round_, sink),
        contradictions=_contradictions(rows, taken),
    )


def _lost(round_: Round, rows: list[Delivery]) -> int:
    planned = {row.run_id for row in rows}
    # A run that a no has ended before its step was due has nothing to plan.
    ended = Run.objects.filter(pk__in=[run.pk for run in round_.runs], status="exited")
    unplanned = len({run.pk for run in round_.runs} - planned - {run.pk for run in ended})
    endless = sum(row.state not in ENDS for row in rows)
    # A message that was not sent says why, and one in doubt when it was left.
    unexplained = sum(
        row.state in ("dropped", "expired", "failed") and not row.reason for row in rows
    )
    untraced = sum(not row.trace for row in rows if row.state != "ghost")
    return unplanned + endless + unexplained + untraced


def _over_cap(sink: FaultySmtp) -> int:
    """Return how many mails a mailbox got above one a day of its own clock."""
    days = Counter(
        (
            recipient.lower(),
            parsedate_to_datetime(str(mail["Date"])).astimezone(ZoneInfo("Europe/London")).date(),
        )
        for recipient, mail in sink.accepted
    )
    return sum(number - 1 for number in days.values())


def _after_no(round_: Round, sink: FaultySmtp) -> int:
    """Return how many mails went to a mailbox that were claimed after its no."""
    claimed: dict[str, set[str]] = {}
    for said in round_.noes:
        # The first no of a mailbox counts.
        claimed[said.mailbox] = claimed.get(said.mailbox, said.claimed) & said.claimed
    return sum(
        recipient.lower() in claimed and str(mail["Message-ID"]) not in claimed[recipient.lower()]
        for recipient, mail in sink.accepted
    )


def _contradictions(rows: list[Delivery], taken: Counter[str]) -> int:
    ids = [row.message_id for row in rows if row.message_id]
    told = Counter(
        Event.objects.filter(verb="EMAIL_SENT", source_id__in=ids).values_list(
            "source_id", flat=True
        )
    )
    wrong = set(taken) - set(ids)
    for row in rows:
        is_sent = row.state == "handed_off"
        if is_sent != (told[row.message_id] == 1):
            wrong.add(row.message_id)
        if is_sent and not taken[row.message_id]:
            wrong.add(row.message_id)
        if row.state in UNSENT and taken[row.message_id]:
            wrong.add(row.message_id)
    return len(wrong)
