"""A channel that keeps messages in a list, for tests and dry runs."""

from collections.abc import Callable

from interventions.outgoing import Answer, ChannelDownError, Outgoing, Result

ACCEPTED = Answer(Result.HANDED_OFF)


class MemoryChannel:
    """Answers what `answer` says, and keeps what it says it has accepted."""

    def __init__(self, answer: Callable[[Outgoing], Answer] = lambda outgoing: ACCEPTED) -> None:
        self.answer = answer
        self.sent: list[Outgoing] = []
        self.down = False

    def prepare(self, outgoing: Outgoing) -> Outgoing:
        """Return the message as it is."""
        return outgoing

    def open(self) -> None:
        """Refuse while `down` is set."""
        if self.down:
            raise ChannelDownError("the memory channel is down")

    def send(self, prepared: Outgoing) -> Answer:
        """Answer as told."""
        answer = self.answer(prepared)
        if answer.result is Result.HANDED_OFF:
            self.sent.append(prepared)
        return answer

    def close(self) -> None:
        """Do nothing."""
