"""Python imports this first where the folder is on its path: the process's clock is then wrong.

CLOCK_AHEAD holds the seconds. The wall clock alone is moved, as on a machine whose time is set
wrong; the clock that only counts seconds goes on as everywhere. HOST_NAME, where it is set, is how
the machine is called.
"""

import ctypes
import datetime
import gc
import os
import socket
import time

_AHEAD = float(os.environ.get("CLOCK_AHEAD", "0"))
_now, _time, _time_ns = datetime.datetime.now, time.time, time.time_ns


def _now_here(cls: type, tz: datetime.tzinfo | None = None) -> datetime.datetime:
    return _now(tz) + datetime.timedelta(seconds=_AHEAD)


def _utcnow_here(cls: type) -> datetime.datetime:
    return _now_here(cls, datetime.UTC).replace(tzinfo=None)


if os.environ.get("HOST_NAME"):
    socket.gethostname = lambda: os.environ["HOST_NAME"]

if _AHEAD:
    time.time = lambda: _time() + _AHEAD
    time.time_ns = lambda: _time_ns() + int(_AHEAD * 1e9)
    # In the class itself: a class put in its place would be another one to whatever was compiled
    # against the real one.
    (names,) = gc.get_referents(datetime.datetime.__dict__)
    names |= {"now": classmethod(_now_here), "utcnow": classmethod(_utcnow_here)}
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime.datetime))
