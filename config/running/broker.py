"""Mends what the broker's library leaves undone when a connection goes silent or is closed."""

from typing import Any

from kombu.transport import redis, virtual


class _FreeingQoS(redis.QoS):
    """Frees the tasks of a lost connection in this process.

    The broker offers them again after an hour, and a stage that runs again does no harm.
    """

    def ack(self, delivery_tag: Any) -> None:
        """Count the task as confirmed even if the broker does not answer."""
        # kombu 5.7 keeps such a task in its count. With a limit of one task, the worker would then
        # take no other one for ever, although its connection is made anew. The task itself runs.
        try:
            super().ack(delivery_tag)
        except redis.Transport.connection_errors:
            virtual.QoS.ack(self, delivery_tag)
            raise

    def restore_unacked(self, client: Any = None) -> None:
        """Give the tasks back to the broker, if there still is a connection to it."""
        # When the broker has gone, kombu 5.7 closes a channel a second time after its connection.
        # There it would raise an AttributeError, which ends the worker.
        if self.channel.connection.client is not None:
            super().restore_unacked(client)
        elif self._delivered:
            self._delivered.clear()


def free_unconfirmed_tasks() -> None:
    """Have all channels of this process free the tasks of a lost connection."""
    redis.Channel.QoS = _FreeingQoS
