"""A child that is ready, beats and does not hear SIGTERM."""

import signal

from core.clock import pause
from core.notify import Notifier

signal.signal(signal.SIGTERM, signal.SIG_IGN)
notifier = Notifier.from_environment()
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
