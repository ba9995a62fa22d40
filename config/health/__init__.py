"""The health of the installation, for the health page and the metrics.

It holds only numbers and our own sentences. The text of an error may name a server or a learner, so
it goes only to the log.
"""

from config.health.check import health
from config.health.faults import Fault, Health
from config.health.reading import HostRun, Reading, read

__all__ = ["Fault", "Health", "HostRun", "Reading", "health", "read"]
