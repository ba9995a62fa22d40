"""How the installation is: one reading, for the page of its state, the metrics and the watchdog.

It holds numbers and sentences of our own. What an error says may name a server or a learner, and
goes into the log alone.
"""

from config.health.check import health
from config.health.faults import Fault, Health
from config.health.reading import HostRun, Reading, read

__all__ = ["Fault", "Health", "HostRun", "Reading", "health", "read"]
