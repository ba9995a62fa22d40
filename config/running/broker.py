"""Mends what the broker's library leaves undone when a connection goes silent."""

from typing import Any

from kombu.transport import redis, virtual


class _FreeingQoS(redis.QoS):
    """Counts a task as confirmed in this process even if the broker does not answer.

    kombu 5.7 keeps such a task in its count. With a limit of one task, the worker would then take
    no other one for ever, although its connection is made anew. The task itself runs. The broker
    offers it again after an hour, and a stage that runs again does no harm.
    """

    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)
        except redis.Transport.connection_errors:
            virtual.QoS.ack(self, delivery_tag)
            raise


def free_unconfirmed_tasks() -> None:
    """Have all channels of this process free a task that could not be confirmed."""
    redis.Channel.QoS = _FreeingQoS
