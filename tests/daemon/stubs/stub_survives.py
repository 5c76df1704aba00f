"""A child that outlives its orchestrator: no signal at its parent's death, deaf to the life pipe and to SIGTERM."""

import ctypes
import os
import signal

from core.clock import pause
from core.notify import Notifier

ctypes.CDLL(None).prctl(1, 0)  # PR_SET_PDEATHSIG
os._exit = lambda code: None  # type: ignore[assignment, return-value]  # what the life pipe's watcher calls
signal.signal(signal.SIGTERM, signal.SIG_IGN)
notifier = Notifier.from_environment()
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
