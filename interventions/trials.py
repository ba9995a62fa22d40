"""Send test mails to staff. They count against no cap, and no table of the ledger knows them."""

from collections.abc import Sequence

from django.conf import settings

from interventions.channels import CHANNELS, ChannelDownError, Connection, Draft, Feature, Result
from interventions.models import Channel as Name

MAILBOX = "interventions.channels.mailbox.MailboxBackend"


class TrialError(Exception):
    """A test mail was not sent. The message is a sentence."""


def is_kept_here() -> bool:
    """Return whether mail goes to the mailbox page instead of a mail server."""
    return bool(settings.EMAIL_BACKEND == MAILBOX)


def send_trials(drafts: Sequence[Draft]) -> None:
    """Hand the mails off, in order. Raise TrialError at the first that is not accepted."""
    channel = CHANNELS[Name.EMAIL]
    channel.require(Feature.TRIALS)
    connection = channel.connect()
    try:
        messages = [channel.compose(draft) for draft in drafts]
        connection.open()
        for message in messages:
            _send(message, connection)
    except ChannelDownError as error:
        raise TrialError(f"The mail server cannot be reached: {error}") from None
    except ValueError as error:
        raise TrialError(f"The test mail cannot be written: {error}") from None
    finally:
        connection.close()


def _send(message: object, connection: Connection) -> None:
    answer = connection.send(message)
    if answer.result is not Result.HANDED_OFF:
        raise TrialError(f"The mail server did not accept the test mail: {answer.detail}")
