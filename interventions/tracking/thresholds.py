"""When the numbers of a sender are bad enough for mailbox providers to act on them. Pure."""

from dataclasses import astuple, dataclass

# Google and Yahoo ask senders to stay under the first and refuse mail over the second.
COMPLAINTS_HIGH = 0.001
COMPLAINTS_TOO_HIGH = 0.003
# Usual at mail providers: over this they look at the account.
BOUNCES_HIGH = 0.02
# With fewer messages, one complaint would already be too many.
FEWEST = 100


@dataclass(frozen=True)
class Counts:
    """How many messages were accepted for sending, and what became of them."""

    accepted: int
    delivered: int = 0
    soft_bounced: int = 0
    hard_bounced: int = 0
    complained: int = 0
    opened: int = 0
    clicked: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both together."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Counts(*(one + another for one, another in pairs))

    @property
    def is_reported(self) -> bool:
        """Return whether anything was reported. If not, nobody knows that none arrived."""
        return any(astuple(self)[1:])

    @property
    def warnings(self) -> list[str]:
        """Return a sentence for each number that is too high, the most pressing first."""
        if self.accepted < FEWEST:
            return []
        found = []
        complaints, bounces = self.complained / self.accepted, self.hard_bounced / self.accepted
        if complaints >= COMPLAINTS_TOO_HIGH:
            found.append(
                f"{complaints:.2%} were marked as spam. From 0.3 % on, mailbox providers refuse "
                "mail. Send less, and only what learners expect."
            )
        elif complaints >= COMPLAINTS_HIGH:
            found.append(
                f"{complaints:.2%} were marked as spam. Stay under 0.1 %: look at which messages."
            )
        if bounces >= BOUNCES_HIGH:
            found.append(
                f"{bounces:.1%} of the addresses do not exist. Stay under 2 %: correct the roster."
            )
        return found
